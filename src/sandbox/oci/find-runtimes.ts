import { access, constants } from "node:fs/promises";
import { delimiter, isAbsolute, join } from "node:path";

/** A runtime-spec command. */
export interface Runtime {
  readonly name: string;
  /** Absolute. */
  readonly path: string;
}

/** Fastest first. That one of them is installed does not mean that it works here. */
const knownRuntimes = ["crun", "runc", "youki"];

/** The runtimes worth a try: the one that was `asked` for (name or path), else all known ones on PATH. */
export async function findRuntimes(asked: string | undefined): Promise<readonly Runtime[]> {
  const found = await Promise.all((asked === undefined ? knownRuntimes : [asked]).map(findRuntime));
  return found.filter((runtime) => runtime !== undefined);
}

async function findRuntime(name: string): Promise<Runtime | undefined> {
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter(isAbsolute);
  const candidates = isAbsolute(name) ? [name] : folders.map((folder) => join(folder, name));
  for (const path of candidates) {
    if (await isExecutable(path)) return { name, path };
  }
  return undefined;
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
