// Loaded before tsbuild: stops the process when it first reads from its store, so that strace comes in just there.
const fs = require("node:fs");
const { syncBuiltinESMExports } = require("node:module");
const { isMainThread } = require("node:worker_threads");

const root = process.env.TSBUILD_ROOT;
// Threads load this file too; nobody would wake the process a second time.
for (const name of isMainThread ? ["readFileSync", "mkdirSync", "openSync"] : []) {
  const call = fs[name];
  fs[name] = (path, ...rest) => {
    if (String(path).startsWith(root)) {
      for (const each of ["readFileSync", "mkdirSync", "openSync"]) {
        if (fs[each].original !== undefined) fs[each] = fs[each].original;
      }
      syncBuiltinESMExports();
      process.kill(process.pid, "SIGSTOP");
    }
    return call(path, ...rest);
  };
  fs[name].original = call;
}
syncBuiltinESMExports();
