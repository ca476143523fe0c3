import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { Script } from "node:vm";
import type { CodeCache, KeptCode } from "./code-cache.ts";
import { loadWhenUsed } from "./load-when-used.ts";
import { addRound, isSettled } from "./rounds.ts";

export type Require = (id: string) => unknown;

interface LoadedScript {
  readonly source: Buffer;
  readonly script: Script;
  /** What of it was kept and used. */
  readonly kept: KeptCode | undefined;
}

/** What `Module.wrap` of node:module makes, which the parameters of a CommonJS module come from. */
const head = Buffer.from("(function (exports, require, module, __filename, __dirname) { ");
const tail = Buffer.from("\n})");

/**
 * Modules of Node that take 0.3 to 1.3 ms to load, and for which a cached build has no use. What stands for them is an
 * object that has their members, so none that is a class or a function itself and used as such may be among them.
 */
const seldomUsed = [
  "node:child_process",
  "node:fs/promises",
  "node:module",
  "node:readline",
  "node:stream/consumers",
  "node:timers/promises",
  "node:zlib",
];

/**
 * Loads the CommonJS files of `dist/` as `require` does, except that what V8 compiled of them comes from a cache, and
 * that some of Node's own modules are loaded when something of them is used: a script asks for all of them at its start.
 * Only relative names are loaded here; everything else is Node's business.
 */
export class ScriptLoader {
  readonly #cache: CodeCache;
  readonly #require: Require;
  readonly #modules = new Map<string, { readonly exports: unknown }>();
  readonly #scripts: LoadedScript[] = [];

  /**
   * @param options.require Node's own, of a file from which the same packages are found as from those that are loaded:
   *   `createRequire` would bring in the loader for ES modules.
   */
  constructor(options: { readonly cache: CodeCache; readonly require: Require }) {
    this.#cache = options.cache;
    this.#require = options.require;
  }

  /** @param path absolute */
  load(path: string): unknown {
    const loaded = this.#modules.get(path);
    if (loaded !== undefined) return loaded.exports;
    const module = { exports: {} };
    this.#modules.set(path, module);
    const start = this.#compile(path).runInThisContext() as (...values: unknown[]) => void;
    start.call(module.exports, module.exports, this.#requireFor(path), module, path, dirname(path));
    return module.exports;
  }

  /**
   * When a script was loaded of which the cache had nothing, or not yet enough for commands of these kinds, writes all
   * of them: with the functions that V8 compiled while they ran, which are those that the next such command needs.
   */
  keepCode(kinds: readonly string[]): void {
    const isDone = ({ kept }: LoadedScript): boolean =>
      kept !== undefined && isSettled(kept.rounds, { kinds, isOld: kept.isOld });
    if (this.#scripts.every(isDone)) return;
    for (const { source, script, kept } of this.#scripts) {
      const made = script.createCachedData();
      // Of what a long command did not run again V8 forgets the code: other kinds want it still.
      const code = kept !== undefined && kept.code.length > made.length ? kept.code : made;
      const rounds = addRound(kept?.rounds ?? {}, { kinds, isOld: kept?.isOld ?? false });
      this.#cache.write(source, { code, rounds });
    }
  }

  #compile(path: string): Script {
    const source = readWrapped(path);
    const kept = this.#cache.read(source);
    // The bundler writes ASCII, and of that V8 needs one byte a character.
    const script = new Script(source.toString("latin1"), {
      filename: path,
      columnOffset: -head.length,
      ...(kept === undefined ? {} : { cachedData: kept.code }),
    });
    const isTaken = script.cachedDataRejected === false;
    this.#scripts.push({ source, script, kept: isTaken ? kept : undefined });
    return script;
  }

  #requireFor(path: string): Require {
    return (id) => {
      if (id.startsWith("./") || id.startsWith("../")) return this.load(resolve(dirname(path), id));
      const load = this.#require;
      return seldomUsed.includes(id) ? loadWhenUsed(() => load(id) as object) : load(id);
    };
  }
}

/** A file between `head` and `tail`, read to where it is needed: joined later, half a megabyte would be copied twice. */
function readWrapped(path: string): Buffer {
  const file = openSync(path, "r");
  try {
    const end = head.length + fstatSync(file).size;
    const source = Buffer.allocUnsafeSlow(end + tail.length);
    let at = head.copy(source);
    while (at < end) {
      const count = readSync(file, source, at, end - at, null);
      if (count === 0) throw new Error(`${path} became shorter while it was read`);
      at += count;
    }
    tail.copy(source, end);
    return source;
  } finally {
    closeSync(file);
  }
}
