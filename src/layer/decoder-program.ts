import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { errnoOf } from "../core/index.ts";
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

/**
 * Pipes `input` through `program -dc`: Node has no xz and no bzip2, and archives that ADD unpacks come in both. The
 * program is gone when the generator ends, also when that is early.
 * @throws LAYER_COMPRESSION_BROKEN when the program says so
 */
export async function* decodeByProgram(
  program: string,
  input: AsyncIterable<Uint8Array>,
): AsyncGenerator<Buffer, void, undefined> {
  const child = spawn(program, ["-dc"], { stdio: ["pipe", "pipe", "pipe"] });
  let message = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (message += text.slice(0, 500)));
  const exited = once(child, "close");
  const fed = pipeline(input, child.stdin).then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error : new Error(String(error))),
  );
  try {
    yield* child.stdout as AsyncIterable<Buffer>;
    const [code] = (await exited) as [number | null];
    const error = await fed;
    if (code !== 0) throw broken(program, { code, message: message.trim() });
    // A program may stop reading when it has seen the end; any other failure is the input's.
    if (error !== undefined && errnoOf(error) !== "EPIPE") throw error;
  } finally {
    child.kill("SIGKILL");
    await exited;
  }
}

function broken(
  program: string,
  result: { readonly code: number | null; readonly message: string },
): Error {
  return layerError("LAYER_COMPRESSION_BROKEN", `decompress by ${program}: ${result.message}`, {
    hint: "the download or the file is incomplete or damaged; get it again",
    details: { program, exitCode: result.code },
  });
}
