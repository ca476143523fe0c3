import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import type { Sandbox, SandboxSpec } from "../../../src/sandbox/index.ts";
import { createBusyboxRoot, whyNoBusybox } from "../../support/busybox-root.ts";
import { readHostMounts } from "../../support/host-mounts.ts";
import { findMarkedProcesses } from "../../support/marked-processes.ts";

/** Opens the implementation under test; called once. The folders exist. */
export type OpenSandbox = (places: {
  readonly stateDir: string;
  readonly cacheDir: string;
}) => Promise<Sandbox>;

/** What a test says about its step; the rest is a plain step as root in the bench's own root filesystem. */
export type StepRequest = Partial<SandboxSpec> & {
  /** Run by the root filesystem's /bin/sh, instead of `argv`. */
  readonly script?: string;
  readonly signal?: AbortSignal;
  /** Called with all output so far, whenever there is more. */
  readonly onOutput?: (soFar: { readonly stdout: string; readonly stderr: string }) => void;
};

export interface FinishedStep {
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
  readonly durationMs: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** One sandbox, one busybox root and the means to run steps there. Lives as long as the suite that made it. */
export class Workbench {
  readonly #open: OpenSandbox;
  #sandbox: Sandbox | undefined;
  #mountsBefore: readonly string[] = [];
  /** In the environment of every step: finds its processes from outside. */
  readonly mark = `tsbuild-mark-${randomBytes(8).toString("hex")}`;
  /** Temporary folder of the suite. */
  dir = "";
  /** A busybox root that steps may write to. */
  root = "";

  constructor(open: OpenSandbox) {
    this.#open = open;
  }

  /** The environment of a step that does not say otherwise. */
  get env(): readonly string[] {
    return ["PATH=/bin", "HOME=/root", `MARK=${this.mark}`];
  }

  async setUp(): Promise<void> {
    this.dir = await mkdtemp(join(tmpdir(), "tsbuild-sandbox-"));
    this.root = await this.makeRoot("root");
    const [stateDir, cacheDir] = await Promise.all([
      this.makeFolder("state"),
      this.makeFolder("cache"),
    ]);
    this.#mountsBefore = readHostMounts(this.dir);
    this.#sandbox = await this.#open({ stateDir, cacheDir });
  }

  async tearDown(): Promise<void> {
    if (this.dir !== "") await rm(this.dir, { recursive: true, force: true });
  }

  async makeFolder(name: string): Promise<string> {
    const folder = join(this.dir, name);
    await mkdir(folder, { recursive: true });
    return folder;
  }

  async makeRoot(name: string): Promise<string> {
    const root = await this.makeFolder(name);
    await createBusyboxRoot(root);
    return root;
  }

  async run(request: StepRequest): Promise<FinishedStep> {
    if (this.#sandbox === undefined) throw new Error("the workbench is not set up");
    const { script, signal, onOutput, ...spec } = request;
    const output = { stdout: "", stderr: "" };
    const result = await this.#sandbox.run(
      {
        rootfs: { type: "directory", path: this.root, readOnly: false },
        argv: ["/bin/sh", "-c", script ?? "true"],
        env: this.env,
        cwd: "/",
        user: { uid: 0, gid: 0, groups: [0], home: "/root" },
        hostname: "bench",
        network: "host",
        mounts: [],
        security: "sandbox",
        ...spec,
      },
      {
        stdin: "null",
        output: (stream, bytes) => {
          output[stream] += bytes.toString("latin1");
          onOutput?.(output);
        },
      },
      signal,
    );
    const { exitCode, signal: killedBy, durationMs } = result;
    return { exitCode, signal: killedBy, durationMs, ...output };
  }

  /** The standard output of a script that has to succeed, without surrounding space. */
  async read(script: string, request: StepRequest = {}): Promise<string> {
    const step = await this.run({ ...request, script });
    expect(step).toMatchObject({ exitCode: 0, stderr: "" });
    return step.stdout.trim();
  }

  /** The promises that hold after every step: no process of it, and no mount, is left. */
  expectNothingLeft(): void {
    expect(findMarkedProcesses(this.mark)).toEqual([]);
    expect(readHostMounts(this.dir)).toEqual(this.#mountsBefore);
  }
}

/** A bench for the tests of the surrounding `describe`; what must hold after every step is checked after each. */
export function useWorkbench(
  open: OpenSandbox,
  options: {
    readonly skipReason?: string | undefined;
    readonly lacks?: readonly (readonly [test: string, reason: string])[];
  },
): Workbench {
  const bench = new Workbench(open);
  const { lacks = [] } = options;
  const missed = new Set(lacks.map(([name]) => name));
  let reason = options.skipReason;
  beforeAll(async () => {
    reason ??= process.getuid?.() === 0 ? await whyNoBusybox() : "needs root";
    if (reason === undefined) await bench.setUp();
  });
  beforeEach((test) => {
    if (reason !== undefined) test.skip(reason);
    const lack = lacks.find(([name]) => test.task.name.includes(name));
    if (lack === undefined) return;
    missed.delete(lack[0]);
    test.skip(lack[1]);
  });
  afterEach(() => {
    if (reason === undefined) bench.expectNothingLeft();
  });
  afterAll(async () => {
    await bench.tearDown();
    if (reason === undefined) expect([...missed], "lacks that skip nothing").toEqual([]);
  });
  return bench;
}
