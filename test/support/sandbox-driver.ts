import { open } from "node:fs/promises";
import { loadSyscalls } from "../../src/core/index.ts";
import { openSandbox, type SandboxSpec } from "../../src/sandbox/index.ts";

/**
 * Stands in for tsbuild where a test kills it: runs two steps that would last ten minutes. Each has
 * processes that changed their user, left their session and ignore signals. Prints a line before they start.
 */
export interface SandboxDriverRequest {
  readonly isolation: "builtin" | "oci" | "chroot";
  readonly stateDir: string;
  readonly cacheDir: string;
  readonly roots: readonly [string, string];
  /** Goes into the environment of every process of the steps. */
  readonly mark: string;
  /** A file that is locked as long as a step lives. */
  readonly lock: string;
}

const script = "trap '' TERM HUP INT; (setsid sleep 600 &); sleep 600 & sleep 600";

const request = JSON.parse(process.argv[2] ?? "") as SandboxDriverRequest;
const { isolation, stateDir, cacheDir } = request;
const sandbox = await openSandbox(isolation, { stateDir, cacheDir, onWarning: () => undefined });
const lock = await open(request.lock, "a");
await (await loadSyscalls()).flock(lock.fd, { exclusive: true });
process.stdout.write("running\n");
await Promise.all(
  request.roots.map((root) =>
    sandbox.run(specFor(root), { stdin: "null", output: () => undefined }),
  ),
);

function specFor(root: string): SandboxSpec {
  return {
    rootfs: { type: "directory", path: root, readOnly: false },
    argv: ["/bin/sh", "-c", script],
    env: ["PATH=/bin", "HOME=/", `MARK=${request.mark}`],
    cwd: "/",
    user: { uid: 1000, gid: 1000, groups: [1000], home: "/" },
    hostname: "driven",
    network: "host",
    mounts: [],
    keepOpen: [lock.fd],
    security: "sandbox",
  };
}
