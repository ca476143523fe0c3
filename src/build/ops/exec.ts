import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder, monotonicMs, removeTree } from "../../core/index.ts";
import { toRootPath } from "../../layer/index.ts";
import type { ExecOp } from "../../plan/index.ts";
import {
  isFileMount,
  resolveUser,
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
import type { BuildEnvironment } from "../environment.ts";
import { buildError } from "../errors.ts";
import { explainForeign } from "../foreign-program.ts";
import { openStepMounts, type StepMounts } from "../mounts/step-mounts.ts";
import { SyncBeside } from "../early-sync.ts";
import { OutputTail } from "../output-tail.ts";
import type { LayersResult } from "../result.ts";
import { makeLayer } from "./layer.ts";
import { networkFiles } from "./network-files.ts";
import type { OpRequest } from "./request.ts";

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** A step that takes so long may have written much. */
const longMs = 1000;

/**
 * RUN: executes the command in a sandbox on the base; what it changed is the layer. Output is streamed as it comes.
 *
 * @throws BUILD_RUN_FAILED with details {exitCode, signal, outputTail}; SANDBOX_* when it could not start;
 *   BUILD_SECRET_NOT_FOUND, BUILD_SSH_NOT_FOUND, BUILD_MOUNT_INVALID
 */
export async function executeExec(op: ExecOp, request: OpRequest): Promise<LayersResult> {
  const { environment } = request;
  const scratch = join(environment.store.tmpDir, `run-${randomBytes(6).toString("hex")}`);
  makeFolder(scratch);
  try {
    return await makeLayer(request, async (active) => {
      const given = await openStepMounts(op, { request, scratch });
      try {
        const { spec, cleanUp } = await specify(op, { request, active, scratch, given });
        await runCommand(op, { request, spec, given, cleanUp }).catch(async (error: unknown) => {
          throw await explainForeign(error, { op, tree: active.tree });
        });
      } finally {
        await given.close();
      }
    });
  } finally {
    await removeTree(scratch);
  }
}

/** @throws BUILD_RUN_FAILED, SANDBOX_* */
async function runCommand(
  op: ExecOp,
  run: {
    readonly request: OpRequest;
    readonly spec: SandboxSpec;
    readonly given: StepMounts;
    readonly cleanUp: () => Promise<void>;
  },
): Promise<void> {
  const { environment, step } = run.request;
  const tail = new OutputTail();
  const sandbox = await environment.sandbox();
  const started = monotonicMs();
  const syncs = new SyncBeside(environment.store);
  const output = (stream: "stdout" | "stderr", bytes: Uint8Array): void => {
    tail.add(bytes);
    step.output(stream, bytes);
  };
  const result = await sandbox
    .run(run.spec, { stdin: "null", output }, environment.signal)
    .finally(() => {
      syncs.stop();
    });
  if (result.usage !== undefined) step.usage(result.usage);
  await run.cleanUp();
  // Whatever it wrote goes to the disk while its digest is taken.
  if (monotonicMs() - started > longMs) environment.store.beginSync();
  if (result.exitCode !== 0) {
    const shown = tail.text(run.given.secrets);
    const clean = environment.secretWatch?.blotOut(Buffer.from(shown)).toString("utf8");
    throw runFailed(op, { result, tail: clean ?? shown });
  }
}

async function specify(
  op: ExecOp,
  place: {
    readonly request: OpRequest;
    readonly active: ActiveSnapshot;
    readonly scratch: string;
    readonly given: StepMounts;
  },
): Promise<{ readonly spec: SandboxSpec; readonly cleanUp: () => Promise<void> }> {
  const { active, scratch, given } = place;
  const { environment } = place.request;
  const { settings = {} } = op;
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
  const hostname = settings.hostname ?? environment.hostname;
  const { extraHosts } = settings;
  const prepared = await prepareMountPoints({
    active,
    skeletons: join(environment.store.tmpDir, "skeletons"),
    mounts: [
      ...networkFiles(environment, { hostname, network, extraHosts }),
      ...(await writeScripts(op, scratch)),
      ...given.mounts,
    ],
    isFile: isFileMount,
  });
  return {
    cleanUp: prepared.cleanUp,
    spec: {
      rootfs: prepared.rootfs,
      argv: op.argv,
      env: withDefaults(without([...op.env, ...op.uncachedEnv], given.secretEnv), user.home),
      secretEnv: given.secretEnv,
      cwd: op.cwd,
      user,
      hostname,
      network,
      mounts: prepared.mounts,
      security: op.security,
      shmSize: settings.shmSize,
      ulimits: settings.ulimits,
      keepOpen: given.locks,
      cgroup: cgroupOf(settings.cgroupParent, environment.limits),
      isMeasured: place.request.step.isMeasured,
    },
  };
}

function cgroupOf(
  parent: string | undefined,
  limits: BuildEnvironment["limits"],
): SandboxSpec["cgroup"] {
  return parent === undefined && limits === undefined ? undefined : { ...limits, parent };
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

/** What a secret gives a value to has no other: most programs take the first of two. */
function without(env: readonly string[], replaced: readonly string[]): readonly string[] {
  const names = new Set(replaced.map(nameOf));
  return env.filter((variable) => !names.has(nameOf(variable)));
}

function nameOf(variable: string): string {
  return variable.slice(0, variable.indexOf("="));
}

/** The variables that a runtime adds when the image and the stage do not set them. */
function withDefaults(env: readonly string[], home: string): string[] {
  const has = (name: string): boolean => env.some((variable) => variable.startsWith(`${name}=`));
  return [...(has("PATH") ? [] : [defaultPath]), ...env, ...(has("HOME") ? [] : [`HOME=${home}`])];
}

function runFailed(
  op: ExecOp,
  outcome: { readonly result: SandboxResult; readonly tail: string },
): Error {
  const { exitCode, signal } = outcome.result;
  const how = exitCode === undefined ? `signal: ${signal ?? "unknown"}` : `exit code: ${exitCode}`;
  const command = JSON.stringify(op.argv.join(" "));
  return buildError(
    "BUILD_RUN_FAILED",
    `process ${command} did not complete successfully: ${how}`,
    {
      hint: hintFor(exitCode),
      details: { exitCode, signal, argv: op.argv, outputTail: outcome.tail },
    },
  );
}

function hintFor(exitCode: number | undefined): string | undefined {
  if (exitCode === 127) return "the shell did not find the command; is its package installed?";
  if (exitCode === 126) return "the command was found but could not be executed; is it executable?";
  if (exitCode === 137) return "it was killed, often because memory ran out";
  return undefined;
}
