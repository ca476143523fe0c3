import { hash } from "node:crypto";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  type Stats,
} from "node:fs";
import { join } from "node:path";

/** What V8 made of a script when it ran before, kept so that it need not be compiled again. */
export interface CodeCache {
  /** For a script with exactly this source; undefined when there is none that can be trusted. */
  read(source: Buffer): KeptCode | undefined;
  /**
   * Keeps code for next time; `round` is one more than that of what it was made from. Best effort: a cache that cannot
   * be written fails nothing.
   */
  write(source: Buffer, kept: Pick<KeptCode, "code" | "round">): void;
}

export interface KeptCode {
  /** For `cachedData`. */
  readonly code: Buffer;
  /** How many commands have added to it what they compiled, 1 for the first. */
  readonly round: number;
  /** False while the next command should add what it compiles. */
  readonly isSettled: boolean;
}

/** Where there is no place for one. */
export const noCodeCache: CodeCache = { read: () => undefined, write: () => undefined };

const day = 24 * 60 * 60 * 1000;

/**
 * The first command of a root compiles other functions than the next ones, which find its work done. So the first few
 * add theirs, and later one a day does: what is used changes. (A cached rebuild takes 4 to 8 ms less for it.)
 */
const firstRounds = 3;
const settledFor = day;

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
    // Of the version, the flags and the processor that V8 compares itself; `node:v8` would tell but takes 1 ms to load.
    const runtime = [process.version, process.arch, ...process.execArgv].join(" ");
    return join(folder, hash("sha256", `${hash("sha256", source)} ${runtime}`));
  };
  return {
    read(source) {
      try {
        const path = pathOf(source);
        if (!isOurs(statSync(root)) || !isOurs(statSync(folder))) return undefined;
        const found = statSync(path);
        if (!isOurs(found)) return undefined;
        const kept = unseal(readFileSync(path));
        const isYoung = Date.now() - found.mtimeMs < settledFor;
        return kept && { ...kept, isSettled: kept.round >= firstRounds && isYoung };
      } catch {
        // Most often it is not there yet. Whatever else is wrong with it, the command works without.
        return undefined;
      }
    },
    write(source, kept) {
      try {
        if (!isOurs(statSync(root))) return;
        mkdirSync(folder, { mode: 0o700, recursive: true });
        if (!isOurs(statSync(folder))) return;
        sweep(folder);
        replace(pathOf(source), seal(kept));
      } catch {
        // No root yet, a full disk, or a read-only one: the next start is as slow as this one was.
      }
    },
  };
}

const sealLength = 32;
/** V8 copies code that does not begin at a multiple of eight. */
const roundLength = 8;

function seal({ code, round }: Pick<KeptCode, "code" | "round">): Buffer {
  const number = Buffer.alloc(roundLength);
  number.writeUInt32LE(round);
  const content = Buffer.concat([number, code]);
  return Buffer.concat([hash("sha256", content, "buffer"), content]);
}

/** Not fsynced when it was written: after a power cut a file may hold anything. */
function unseal(bytes: Buffer): Pick<KeptCode, "code" | "round"> | undefined {
  const content = bytes.subarray(sealLength);
  const isWhole = hash("sha256", content, "buffer").equals(bytes.subarray(0, sealLength));
  if (!isWhole || content.length < roundLength) return undefined;
  return { code: content.subarray(roundLength), round: content.readUInt32LE() };
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

function isOurs({ uid, mode }: Stats): boolean {
  return uid === process.geteuid?.() && (mode & 0o022) === 0;
}

function sweep(folder: string): void {
  const oldest = Date.now() - keptDays * day;
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (statSync(path).mtimeMs < oldest) rmSync(path, { force: true });
  }
}
