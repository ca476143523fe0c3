import { hash } from "node:crypto";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { cachedDataVersionTag } from "node:v8";

/** What V8 made of a script when it ran before, kept so that it need not be compiled again. */
export interface CodeCache {
  /** For `cachedData` of a script with exactly this source; undefined when there is none that can be trusted. */
  read(source: Buffer): Buffer | undefined;
  /** Keeps code for next time. Best effort: a cache that cannot be written fails nothing. */
  write(source: Buffer, code: Buffer): void;
}

/** Where there is no place for one. */
export const noCodeCache: CodeCache = { read: () => undefined, write: () => undefined };

const day = 24 * 60 * 60 * 1000;

/** A cache that nobody has written anew for so long is swept; whoever used it pays for one start. */
const keptDays = 30;

/**
 * The code cache of a state root, in its folder `code`. V8 itself checks its own version, its flags and the features
 * of the processor, but of the source no more than the length, and of the code nothing; so a file is named by a digest
 * of the source and of what V8 checks, and begins with a digest of what follows.
 *
 * Code from a file is run like any other code. Therefore the root, the folder and the file must belong to this user and
 * be writable by nobody else; a folder that is less than that counts as no cache.
 */
export function openCodeCache(root: string): CodeCache {
  const folder = join(root, "code");
  const pathOf = (source: Buffer): string => {
    const runtime = [process.version, process.arch, cachedDataVersionTag()].join(" ");
    return join(folder, hash("sha256", `${hash("sha256", source)} ${runtime}`));
  };
  return {
    read(source) {
      try {
        const path = pathOf(source);
        if (![root, folder, path].every(isOurs)) return undefined;
        return unseal(readFileSync(path));
      } catch {
        // Most often it is not there yet. Whatever else is wrong with it, the command works without.
        return undefined;
      }
    },
    write(source, code) {
      try {
        if (!isOurs(root)) return;
        mkdirSync(folder, { mode: 0o700, recursive: true });
        if (!isOurs(folder)) return;
        sweep(folder);
        replace(pathOf(source), seal(code));
      } catch {
        // No root yet, a full disk, or a read-only one: the next start is as slow as this one was.
      }
    },
  };
}

const sealLength = 32;

function seal(code: Buffer): Buffer {
  return Buffer.concat([hash("sha256", code, "buffer"), code]);
}

/** Not fsynced when it was written: after a power cut a file may hold anything. */
function unseal(bytes: Buffer): Buffer | undefined {
  const code = bytes.subarray(sealLength);
  const isWhole = hash("sha256", code, "buffer").equals(bytes.subarray(0, sealLength));
  return isWhole ? code : undefined;
}

function replace(path: string, bytes: Buffer): void {
  const draft = `${path}.${String(process.pid)}`;
  try {
    writeFileSync(draft, bytes, { mode: 0o600 });
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}

/** @throws an error of `stat` */
function isOurs(path: string): boolean {
  const { uid, mode } = statSync(path);
  return uid === process.geteuid?.() && (mode & 0o022) === 0;
}

function sweep(folder: string): void {
  const oldest = Date.now() - keptDays * day;
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (statSync(path).mtimeMs < oldest) rmSync(path, { force: true });
  }
}
