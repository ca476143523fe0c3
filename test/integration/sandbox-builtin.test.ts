import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openBuiltinSandbox } from "../../src/sandbox/builtin/index.ts";
import type { Sandbox, SandboxSpec } from "../../src/sandbox/index.ts";
import { createBusyboxRoot } from "../support/busybox-root.ts";

let directory = "";
let sandbox: Sandbox | undefined;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "tsbuild-builtin-"));
  await createBusyboxRoot(join(directory, "lower"));
  for (const name of ["upper", "work"]) await mkdir(join(directory, name));
  sandbox = await openBuiltinSandbox({ stateDir: join(directory, "state") });
});
afterAll(() => rm(directory, { recursive: true, force: true }));

function specOf(script: string): SandboxSpec {
  return {
    rootfs: {
      type: "overlay",
      lower: [join(directory, "lower")],
      upper: join(directory, "upper"),
      work: join(directory, "work"),
    },
    argv: ["/bin/sh", "-c", script],
    env: ["PATH=/bin"],
    cwd: "/",
    user: { uid: 0, gid: 0, groups: [0], home: "/root" },
    hostname: "step",
    network: "host",
    mounts: [],
    security: "sandbox",
  };
}

async function read(script: string, rest: Partial<SandboxSpec> = {}): Promise<string> {
  let text = "";
  const result = await sandbox?.run(
    { ...specOf(script), ...rest },
    { stdin: "null", output: (_, bytes) => (text += bytes.toString()) },
  );
  expect(result).toMatchObject({ exitCode: 0 });
  return text.trim();
}

test("a command runs in an overlay of the layers", async () => {
  expect(await read("echo hello >/tmp/file; cat /tmp/file; hostname")).toBe("hello\nstep");
});
