import { defineConfig } from "rolldown";

// One file for the command (start-up time is a feature) and one for people who import the library.
// Native and rarely needed packages stay outside and are loaded when a command first needs them.
export default defineConfig({
  input: { cli: "src/cli/main.ts", index: "src/api/index.ts" },
  platform: "node",
  external: ["koffi"],
  output: {
    dir: "dist",
    format: "esm",
    cleanDir: true,
    minify: false,
    sourcemap: true,
    chunkFileNames: "chunks/[name]-[hash].js",
  },
});
