import { mkdir, stat, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { coreError, type RootfsMount } from "../../src/core/index.ts";
import type { Sandbox, SandboxResult, SandboxSpec, SandboxStdio } from "../../src/sandbox/index.ts";

/** How a command ends, and what it leaves behind. */
export interface FakeOutcome {
  /** 0 unless given. */
  readonly exitCode?: number;
  /** Written to standard output before the end. */
  readonly output?: string;
  /** Files to write below the root, path to text. Times and modes are fixed: the same files give the same layer. */
  readonly write?: Readonly<Record<string, string>>;
}

interface Command {
  readonly text: string;
  readonly spec: SandboxSpec;
  readonly stdio: SandboxStdio;
  readonly end: (result: SandboxResult) => void;
  readonly cancel: () => void;
}

/**
 * Commands that wait for the test's word instead of running. A command goes by the text of its shell form (`RUN make`
 * is "make"), or by its arguments joined with blanks. Nothing here waits for time to pass.
 *
 * ```ts
 * const sandbox = new FakeSandbox();
 * const building = harness.build("FROM base\nRUN make\n");
 * await sandbox.started("make");
 * await sandbox.finish("make", { write: { out: "made" } });
 * await building;
 * ```
 */
export class FakeSandbox implements Sandbox {
  readonly kind = "builtin";
  /** Of every command that was started, in order. */
  readonly specs: SandboxSpec[] = [];
  readonly #answer: (command: string) => FakeOutcome | undefined;
  readonly #keepsCanceled: boolean;
  readonly #running = new Set<Command>();
  readonly #canceled = new Set<Command>();
  readonly #watchers = new Set<() => void>();

  constructor(
    options: {
      /** Ends commands at once; for undefined the command waits. */
      readonly answer?: (command: string) => FakeOutcome | undefined;
      /** Canceled commands live on until `letGo`, like processes that take their time to die. */
      readonly keepsCanceled?: boolean;
    } = {},
  ) {
    this.#answer = options.answer ?? (() => undefined);
    this.#keepsCanceled = options.keepsCanceled ?? false;
  }

  /** Texts of every command that was started, in order. */
  get commands(): string[] {
    return this.specs.map(textOf);
  }

  /** Texts of the commands that have not ended. */
  get running(): string[] {
    return Array.from(this.#running, ({ text }) => text);
  }

  async run(spec: SandboxSpec, stdio: SandboxStdio, signal?: AbortSignal): Promise<SandboxResult> {
    const text = textOf(spec);
    this.specs.push(spec);
    const { promise, resolve, reject } = withResolvers<SandboxResult>();
    // Nobody waits for a command whose files could not be written.
    promise.catch(() => undefined);
    const cancel = (): void => {
      reject(coreError("CANCELED", `run ${text}: canceled`, { cause: signal?.reason }));
    };
    const command: Command = { text, spec, stdio, end: resolve, cancel };
    const onAbort = (): void => {
      this.#canceled.add(command);
      this.#changed();
      if (!this.#keepsCanceled) cancel();
    };
    if (signal?.aborted === true) onAbort();
    else signal?.addEventListener("abort", onAbort, { once: true });
    this.#running.add(command);
    this.#changed();
    const answer = this.#answer(text);
    try {
      if (answer !== undefined) await this.#end(command, answer);
      return await promise;
    } finally {
      signal?.removeEventListener("abort", onAbort);
      this.#running.delete(command);
    }
  }

  /** Resolves once `command` runs, now or later. */
  async started(command: string): Promise<SandboxSpec> {
    return (await this.#find(command, this.#running)).spec;
  }

  /** Resolves once this many commands were started altogether. */
  async startedCount(count: number): Promise<void> {
    while (this.specs.length < count) await this.#change();
  }

  /** Resolves once `command` was told to stop. */
  async canceled(command: string): Promise<void> {
    await this.#find(command, this.#canceled);
  }

  async print(command: string, text: string): Promise<void> {
    emit(await this.#find(command, this.#running), text);
  }

  /** Ends `command`, after it was started. */
  async finish(command: string, outcome: FakeOutcome = {}): Promise<void> {
    await this.#end(await this.#find(command, this.#running), outcome);
  }

  /** Lets a command die that was canceled and kept. */
  async letGo(command: string): Promise<void> {
    (await this.#find(command, this.#canceled)).cancel();
  }

  async #end(command: Command, outcome: FakeOutcome): Promise<void> {
    if (outcome.output !== undefined) emit(command, outcome.output);
    await writeFiles(upperOf(command.spec.rootfs), outcome.write ?? {});
    command.end({ exitCode: outcome.exitCode ?? 0, durationMs: 0 });
  }

  async #find(text: string, among: ReadonlySet<Command>): Promise<Command> {
    for (;;) {
      for (const command of among) if (command.text === text) return command;
      await this.#change();
    }
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#watchers.add(resolve));
  }

  #changed(): void {
    const watchers = [...this.#watchers];
    this.#watchers.clear();
    for (const watcher of watchers) watcher();
  }
}

function textOf({ argv }: SandboxSpec): string {
  const [shell, flag, script] = argv;
  return shell === "/bin/sh" && flag === "-c" && script !== undefined ? script : argv.join(" ");
}

function emit({ stdio }: Command, text: string): void {
  if (stdio.output !== "inherit") stdio.output("stdout", Buffer.from(text));
}

function upperOf(rootfs: RootfsMount): string {
  const path = rootfs.type === "overlay" ? rootfs.upper : rootfs.path;
  if (path === undefined) throw new Error("the root filesystem is read-only");
  return path;
}

const fixedTime = new Date("2026-02-03T04:05:06Z");

async function writeFiles(root: string, files: Readonly<Record<string, string>>): Promise<void> {
  const { atime, mtime } = await stat(root);
  for (const [path, text] of Object.entries(files)) {
    const file = join(root, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text, { mode: 0o644 });
    await utimes(file, fixedTime, fixedTime);
    for (let parent = dirname(file); parent !== root; parent = dirname(parent))
      await utimes(parent, fixedTime, fixedTime);
  }
  // Otherwise the layer would hold its root, changed just now.
  await utimes(root, atime, mtime);
}

function withResolvers<T>(): {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (reason: Error) => void;
} {
  let resolve: (value: T) => void = () => undefined;
  let reject: (reason: Error) => void = () => undefined;
  const promise = new Promise<T>((fulfil, refuse) => ([resolve, reject] = [fulfil, refuse]));
  return { promise, resolve, reject };
}
