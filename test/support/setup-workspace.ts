import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, beforeEach } from "vitest";
import { pushBusybox } from "./busybox-image.ts";
import { type CliOptions, type CliResult, expectCli, runCli } from "./cli.ts";
import { type ContextEntry, makeContext } from "./setup-context.ts";
import { waitForNothingLeft } from "./setup-leftovers.ts";
import { type RegistryProcess, startRegistryProcess } from "./registry-process.ts";

/** One state root and one real registry with a busybox base, for all tests of one file. */
export interface Workspace {
  readonly registry: RegistryProcess;
  /** Name of the base image in the registry: `127.0.0.1:PORT/busybox:1`. */
  readonly busybox: string;
  readonly root: string;
  /** Another, empty state root that goes away with the file. */
  freshRoot(): Promise<string>;
  /** Files of a context; the word BUSYBOX in a Dockerfile stands for the base image's name. */
  context(entries: Readonly<Record<string, ContextEntry>>): Promise<string>;
  /** `tsbuild ...args` on this root, whatever comes of it. */
  cli(args: readonly string[], options?: CliOptions): Promise<CliResult>;
  /** `tsbuild ...args` on this root; throws with its output unless it succeeds. */
  expectCli(args: readonly string[], options?: CliOptions): Promise<CliResult>;
  /** Standard output of `tsbuild run --rm IMAGE ...command`, which must succeed. */
  output(image: string, ...command: string[]): Promise<string>;
  /** The one element of `tsbuild inspect NAME`. */
  inspect(image: string): Promise<Inspected>;
}

/** The fields of `inspect` that tests look at, in docker's spelling. */
export interface Inspected {
  readonly Id: string;
  readonly RepoTags: readonly string[];
  readonly Author: string;
  readonly Os: string;
  readonly Architecture: string;
  readonly Size: number;
  readonly Created: string;
  readonly Config: Readonly<Record<string, unknown>>;
  readonly RootFS: { readonly Type: string; readonly Layers: readonly string[] };
}

/**
 * Declares the set-up of a file: call it at top level. Every test is skipped, with the reason, where the machine lacks
 * what it needs (`programs` beyond the registry). Afterwards nothing of the root may be left running or mounted.
 */
export function useWorkspace({ programs = [] }: { programs?: readonly string[] } = {}): Workspace {
  let registry: RegistryProcess | undefined;
  let busybox: string | undefined;
  const folders: string[] = [];
  const lacking = whatIsLacking(["docker-registry", "skopeo", "busybox", ...programs]);
  const freshRoot = async (): Promise<string> => {
    const folder = await mkdtemp(join(tmpdir(), "tsbuild-root-"));
    folders.push(folder);
    return folder;
  };

  beforeAll(async () => {
    if (lacking !== undefined) return;
    await freshRoot();
    registry = await startRegistryProcess();
    busybox = await pushBusybox(registry.host);
  });
  beforeEach((test) => {
    if (lacking !== undefined) test.skip(lacking);
  });
  afterAll(async () => {
    const left = await Promise.all(folders.map(async (root) => waitForNothingLeft(root)));
    await registry?.stop();
    await Promise.all(folders.map(async (root) => rm(root, { recursive: true, force: true })));
    if (left.flat().length > 0) throw new Error(`left behind:\n${left.flat().join("\n")}`);
  });

  const workspace: Workspace = {
    get registry() {
      return ready(registry);
    },
    get busybox() {
      return ready(busybox);
    },
    get root() {
      return ready(folders[0]);
    },
    freshRoot,
    context: async (entries) =>
      makeContext(
        Object.fromEntries(
          Object.entries(entries).map(([name, entry]) => [
            name,
            typeof entry === "string" ? entry.replaceAll("BUSYBOX", workspace.busybox) : entry,
          ]),
        ),
      ),
    cli: async (args, options = {}) => runCli(args, { root: workspace.root, ...options }),
    expectCli: async (args, options = {}) => expectCli(args, { root: workspace.root, ...options }),
    output: async (image, ...command) =>
      (await workspace.expectCli(["run", "--rm", image, ...command])).stdout,
    inspect: async (image) => {
      const { stdout } = await workspace.expectCli(["inspect", image]);
      const [found] = JSON.parse(stdout) as Inspected[];
      if (found === undefined) throw new Error(`inspect ${image} told nothing`);
      return found;
    },
  };
  return workspace;
}

/** The stable code of the error that a command printed; undefined when it printed none. */
export function errorCode({ stderr }: CliResult): string | undefined {
  return /^tsbuild: .*\[([A-Z][A-Z0-9_]*)\]$/m.exec(stderr)?.[1];
}

/** Runs a foreign program and returns its standard output; throws with its stderr when it fails. */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const maxBuffer = 64 * 1024 * 1024;
  const { stdout } = await promisify(execFile)(program, args, { maxBuffer, ...options });
  return stdout;
}

/** Why tests that mount and start `programs` cannot run here; undefined when they can. */
export function whatIsLacking(programs: readonly string[]): string | undefined {
  if (process.getuid?.() !== 0) return "needs root to mount";
  const missing = programs.filter((program) => !isInstalled(program));
  return missing.length === 0 ? undefined : `not installed: ${missing.join(", ")}`;
}

function isInstalled(program: string): boolean {
  return (process.env["PATH"] ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function ready<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("the workspace is ready only inside of tests");
  return value;
}
