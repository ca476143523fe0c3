import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { layerError } from "./errors.ts";

/** Absolute path of a program in PATH. */
export function findProgram(name: string): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    // Not there, or not for us: the next folder may have it.
    return false;
  }
}

/** A program that reads one stream and writes another. */
export interface Filter {
  /** Absolute path. */
  readonly program: string;
  readonly args: readonly string[];
  /** What it does, for errors: "decompress". */
  readonly attempt: string;
}

/**
 * Pipes `input` through a program: Node has no xz and no bzip2, and zstd since 22.15 only. The program is gone when the
 * generator ends, also when that is early.
 * @throws LAYER_COMPRESSION_BROKEN when the program says so
 */
export async function* pipeThrough(
  filter: Filter,
  input: AsyncIterable<Uint8Array>,
): AsyncGenerator<Buffer, void, undefined> {
  const child = spawn(filter.program, filter.args, { stdio: ["pipe", "pipe", "pipe"] });
  let message = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (message += text.slice(0, 500)));
  const exited = once(child, "close");
  let failure: { readonly error: unknown } | undefined;
  const watched = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* input;
    } catch (error) {
      failure = { error };
    }
  };
  // A program may stop reading when it has seen the end, or enough.
  const fed = pipeline(watched(), child.stdin).catch(() => undefined);
  try {
    yield* child.stdout as AsyncIterable<Buffer>;
    const [code] = (await exited) as [number | null];
    await fed;
    // What the input failed with says more than what a program makes of half of it.
    if (failure !== undefined) throw failure.error;
    if (code !== 0) throw broken(filter, { code, message: message.trim() });
  } finally {
    child.kill("SIGKILL");
    await exited;
  }
}

function broken(
  { program, attempt }: Filter,
  result: { readonly code: number | null; readonly message: string },
): Error {
  return layerError("LAYER_COMPRESSION_BROKEN", `${attempt} by ${program}: ${result.message}`, {
    hint: "the download or the file is incomplete or damaged; get it again",
    details: { program, exitCode: result.code },
  });
}
