import { defineConfig } from "vitest/config";
import { assembly } from "./src/layer/deflate/assembly/plugin.js";

/**
 * So long, in milliseconds, may a test wait for what has to come. No promise of the product: a machine may be slow, and
 * have other work.
 */
const patience = 60_000;

// "fast" needs no privilege and touches only temporary folders; "root" mounts, starts registries and drives bin/.
export default defineConfig({
  test: {
    reporters: ["default", "./test/support/reporter.ts"],
    projects: [
      {
        plugins: [assembly],
        test: {
          name: "fast",
          include: ["test/{unit,contract,golden,property}/**/*.test.ts", "test/*.test.ts"],
          setupFiles: ["./test/support/property-seed.ts", "./test/support/usual-umask.ts"],
          pool: "forks",
          isolate: false,
          // Ends what hangs; the longest takes a few seconds.
          testTimeout: 2 * patience,
          hookTimeout: 2 * patience,
          expect: { poll: { timeout: patience } },
        },
      },
      {
        plugins: [assembly],
        test: {
          name: "root",
          include: ["test/{integration,e2e,conformance}/**/*.test.ts"],
          setupFiles: ["./test/support/property-seed.ts", "./test/support/usual-umask.ts"],
          pool: "forks",
          testTimeout: 600_000,
          hookTimeout: 600_000,
          expect: { poll: { timeout: patience } },
        },
      },
      {
        plugins: [assembly],
        // Two builders work at a time, each of which waits for the kernel more than it computes.
        test: {
          name: "diff",
          include: ["test/differential/**/*.test.ts"],
          pool: "forks",
          maxConcurrency: 3,
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
});
