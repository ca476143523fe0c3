/**
 * Source of a module that is required into tsbuild's own processes, in the turn that measures memory: at its end each
 * leaves its largest resident set, in bytes, as a file. What the steps of a build use is not in it.
 */
export const memoryProbe = `
const { isMainThread } = require("node:worker_threads");
if (isMainThread) {
  process.on("exit", () => {
    const path = process.env.TSBUILD_BENCH_PEAKS + "/peak-" + process.pid;
    require("node:fs").writeFileSync(path, String(process.resourceUsage().maxRSS * 1024));
  });
}
`;
