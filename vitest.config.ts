import { defineConfig } from "vitest/config";

// "fast" needs no privilege and touches only temporary folders; "root" mounts, starts registries and drives bin/.
export default defineConfig({
  test: {
    reporters: ["default", "./test/support/reporter.ts"],
    projects: [
      {
        test: {
          name: "fast",
          include: ["test/{unit,contract,golden,property}/**/*.test.ts", "test/*.test.ts"],
          setupFiles: ["./test/support/property-seed.ts"],
          pool: "forks",
          isolate: false,
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: "root",
          include: ["test/{integration,e2e,conformance}/**/*.test.ts"],
          setupFiles: ["./test/support/property-seed.ts"],
          pool: "forks",
          testTimeout: 300_000,
          hookTimeout: 600_000,
        },
      },
      {
        // Two builders work at a time, each of which waits for the kernel more than it computes.
        test: {
          name: "diff",
          include: ["test/differential/**/*.test.ts"],
          pool: "forks",
          maxConcurrency: 3,
          testTimeout: 300_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
});
