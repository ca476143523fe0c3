import { openBuiltinSandbox } from "../../src/sandbox/builtin/index.ts";

/**
 * Runs one step of the builtin sandbox with this process' own streams, for tests that need a process in surroundings
 * of its own. Warnings and errors appear on stderr as their codes.
 */
export interface SandboxStepRequest {
  readonly stateDir: string;
  readonly root: string;
  readonly script: string;
}

const request = JSON.parse(process.argv[2] ?? "") as SandboxStepRequest;
try {
  const sandbox = await openBuiltinSandbox({
    stateDir: request.stateDir,
    onWarning: ({ code }) => process.stderr.write(`warning ${code}\n`),
  });
  const result = await sandbox.run(
    {
      rootfs: { type: "directory", path: request.root, readOnly: false },
      argv: ["/bin/sh", "-c", request.script],
      env: ["PATH=/bin"],
      cwd: "/",
      user: { uid: 0, gid: 0, groups: [0], home: "/root" },
      hostname: "step",
      network: "host",
      mounts: [],
      security: "sandbox",
    },
    { stdin: "inherit", output: "inherit" },
  );
  process.exitCode = result.exitCode ?? 99;
} catch (error) {
  process.stderr.write(`error ${error instanceof Error && "code" in error ? error.code : error}\n`);
  process.exitCode = 100;
}
