import { randomBytes } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { toRootPath } from "../../layer/index.ts";
import type { ExecOp } from "../../plan/index.ts";
import {
  resolveUser,
  writeNetworkFiles,
  type SandboxMount,
  type SandboxResult,
  type SandboxSpec,
} from "../../sandbox/index.ts";
import {
  makeDirectories,
  openTreeWriter,
  prepareMountPoints,
  type ActiveSnapshot,
} from "../../snapshot/index.ts";
import { buildError } from "../errors.ts";
import { OutputTail } from "../output-tail.ts";
import type { LayersResult } from "../result.ts";
import { makeLayer } from "./layer.ts";
import type { OpRequest } from "./request.ts";

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * RUN: executes the command in a sandbox on the base; what it changed is the layer. Output is streamed as it comes.
 *
 * @throws BUILD_RUN_FAILED with details {exitCode, signal, outputTail}; SANDBOX_* when it could not start
 */
export async function executeExec(op: ExecOp, request: OpRequest): Promise<LayersResult> {
  const { environment, step } = request;
  const scratch = join(environment.store.tmpDir, `run-${randomBytes(6).toString("hex")}`);
  await mkdir(scratch, { recursive: true });
  try {
    return await makeLayer(request, async (active) => {
      const { spec, cleanUp } = await specify(op, { request, active, scratch });
      const tail = new OutputTail();
      const sandbox = await environment.sandbox();
      const result = await sandbox.run(
        spec,
        {
          stdin: "null",
          output: (stream, bytes) => {
            tail.add(bytes);
            step.output(stream, bytes);
          },
        },
        environment.signal,
      );
      await cleanUp();
      if (result.exitCode !== 0) throw runFailed(op, { result, tail });
    });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function specify(
  op: ExecOp,
  place: {
    readonly request: OpRequest;
    readonly active: ActiveSnapshot;
    readonly scratch: string;
  },
): Promise<{ readonly spec: SandboxSpec; readonly cleanUp: () => Promise<void> }> {
  const { active, scratch } = place;
  const { environment } = place.request;
  const user = await resolveUser({ tree: active.tree, user: op.user });
  const writer = openTreeWriter(active);
  await makeDirectories({
    tree: active.tree,
    writer,
    path: toRootPath(op.cwd),
    attributes: { mode: 0o755, uid: user.uid, gid: user.gid, mtime: environment.implicitTime },
  });
  await writer.finish();
  const network = op.network === "none" ? "none" : "host";
  const { hostname } = environment;
  const prepared = await prepareMountPoints({
    active,
    scratch,
    mounts: [
      ...(await writeNetworkFiles({ directory: join(scratch, "etc"), hostname, network })),
      ...(await writeScripts(op, scratch)),
      ...op.mounts.map(mountOf),
    ],
  });
  return {
    cleanUp: prepared.cleanUp,
    spec: {
      rootfs: prepared.rootfs,
      argv: op.argv,
      env: withDefaults([...op.env, ...op.uncachedEnv], user.home),
      cwd: op.cwd,
      user,
      hostname,
      network,
      mounts: prepared.mounts,
      security: op.security,
    },
  };
}

/** `RUN <<EOF` whose body begins with #! runs as a file below /dev/pipes. */
async function writeScripts(op: ExecOp, scratch: string): Promise<SandboxMount[]> {
  if (op.scripts.length === 0) return [];
  const source = join(scratch, "pipes");
  await mkdir(source);
  for (const script of op.scripts) {
    await writeFile(join(source, script.name), script.content, { mode: 0o755, flag: "wx" });
  }
  return [{ type: "bind", source, target: "/dev/pipes", readOnly: true }];
}

function mountOf(mount: ExecOp["mounts"][number]): SandboxMount {
  if (mount.type === "tmpfs") return mount;
  throw buildError("BUILD_UNSUPPORTED", `run with --mount=type=${mount.type}`, {
    hint: "this version mounts type=tmpfs only",
  });
}

/** The variables that a runtime adds when the image and the stage do not set them. */
function withDefaults(env: readonly string[], home: string): string[] {
  const has = (name: string): boolean => env.some((variable) => variable.startsWith(`${name}=`));
  return [...(has("PATH") ? [] : [defaultPath]), ...env, ...(has("HOME") ? [] : [`HOME=${home}`])];
}

function runFailed(
  op: ExecOp,
  outcome: { readonly result: SandboxResult; readonly tail: OutputTail },
): Error {
  const { exitCode, signal } = outcome.result;
  const how = exitCode === undefined ? `signal: ${signal ?? "unknown"}` : `exit code: ${exitCode}`;
  const command = JSON.stringify(op.argv.join(" "));
  return buildError(
    "BUILD_RUN_FAILED",
    `process ${command} did not complete successfully: ${how}`,
    {
      hint: hintFor(exitCode),
      details: { exitCode, signal, argv: op.argv, outputTail: outcome.tail.text() },
    },
  );
}

function hintFor(exitCode: number | undefined): string | undefined {
  if (exitCode === 127) return "the shell did not find the command; is its package installed?";
  if (exitCode === 126) return "the command was found but could not be executed; is it executable?";
  if (exitCode === 137) return "it was killed, often because memory ran out";
  return undefined;
}
