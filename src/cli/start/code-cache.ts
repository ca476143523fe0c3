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
import { defaultGroup } from "./code-group.ts";
import type { Rounds } from "./rounds.ts";

/** What V8 made of a script when it ran before, kept so that it need not be compiled again. */
export interface CodeCache {
  /** For a script with exactly this source; undefined when there is none that can be trusted. */
  read(source: Buffer): KeptCode | undefined;
  /** Keeps code for next time. Best effort: a cache that cannot be written fails nothing. */
  write(source: Buffer, kept: Pick<KeptCode, "code" | "rounds">): void;
}

export interface KeptCode {
  /** For `cachedData`. */
  readonly code: Buffer;
  readonly rounds: Rounds;
  /** Nobody has written it for a day. */
  readonly isOld: boolean;
}

/** Where there is no place for one. */
export const noCodeCache: CodeCache = { read: () => undefined, write: () => undefined };

const day = 24 * 60 * 60 * 1000;

/** A cache that nobody has written anew for so long is swept; whoever used it pays for one start. */
const keptDays = 30;

/**
 * The code cache of a state root, in its folder `code`, for one group of commands. V8 itself checks its own version, its
 * flags and the features of the processor, but of the source no more than the length, and of the code nothing; so a file
 * is named by a digest of the source, the group and what V8 checks, and begins with a digest of what follows.
 *
 * Code from a file is run like any other code. Therefore the root, the folder and the file must belong to this user and
 * be writable by nobody else; a folder that is less than that counts as no cache.
 */
export function openCodeCache(root: string, group = defaultGroup): CodeCache {
  const folder = join(root, "code");
  const pathOf = (source: Buffer, group: string): string => {
    // Of the version, the flags and the processor that V8 compares itself; `node:v8` would tell but takes 1 ms to load.
    const runtime = [process.version, process.arch, ...process.execArgv].join(" ");
    return join(folder, hash("sha256", `${hash("sha256", source)} ${group} ${runtime}`));
  };
  const readFrom = (path: string): KeptCode | undefined => {
    try {
      if (!isOurs(statSync(root)) || !isOurs(statSync(folder))) return undefined;
      const found = statSync(path);
      // To read a pipe would wait for ever.
      if (!found.isFile() || !isOurs(found)) return undefined;
      const kept = unseal(readFileSync(path));
      return kept && { ...kept, isOld: Date.now() - found.mtimeMs >= day };
    } catch {
      // Most often it is not there yet. Whatever else is wrong with it, the command works without.
      return undefined;
    }
  };
  return {
    read(source) {
      const own = readFrom(pathOf(source, group));
      if (own !== undefined || group === defaultGroup) return own;
      const borrowed = readFrom(pathOf(source, defaultGroup));
      return borrowed && { ...borrowed, rounds: {}, isOld: false };
    },
    write(source, kept) {
      try {
        if (!isOurs(statSync(root))) return;
        mkdirSync(folder, { mode: 0o700, recursive: true });
        if (!isOurs(statSync(folder))) return;
        sweep(folder);
        replace(pathOf(source, group), seal(kept));
      } catch {
        // No root yet, a full disk, or a read-only one: the next start is as slow as this one was.
      }
    },
  };
}

const sealLength = 32;
/** Bytes of the number that says how long the rounds are. */
const countLength = 4;
/** V8 copies code that does not begin at a multiple of eight. */
const alignment = 8;

/** A digest of all that follows; the length of the rounds, the rounds as JSON with spaces behind them, the code. */
function seal({ code, rounds }: Pick<KeptCode, "code" | "rounds">): Buffer {
  const text = Buffer.from(JSON.stringify(rounds));
  const before = Math.ceil((countLength + text.length) / alignment) * alignment;
  const content = Buffer.alloc(before + code.length, " ");
  content.writeUInt32LE(before - countLength);
  text.copy(content, countLength);
  code.copy(content, before);
  return Buffer.concat([hash("sha256", content, "buffer"), content]);
}

/** Not fsynced when it was written: after a power cut a file may hold anything. */
function unseal(bytes: Buffer): Pick<KeptCode, "code" | "rounds"> | undefined {
  const content = bytes.subarray(sealLength);
  const isWhole = hash("sha256", content, "buffer").equals(bytes.subarray(0, sealLength));
  if (!isWhole || content.length < countLength) return undefined;
  const end = countLength + content.readUInt32LE();
  const rounds = JSON.parse(content.toString("utf8", countLength, end)) as Rounds | null;
  return rounds === null ? undefined : { code: content.subarray(end), rounds };
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
