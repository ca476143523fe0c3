import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, resolve } from "node:path";
import { Script } from "node:vm";
import type { CodeCache } from "./code-cache.ts";

type Require = (id: string) => unknown;

interface LoadedScript {
  readonly source: Buffer;
  readonly script: Script;
  readonly isCached: boolean;
}

/** What `Module.wrap` of node:module makes, which the parameters of a CommonJS module come from. */
const wrapper = ["(function (exports, require, module, __filename, __dirname) { ", "\n})"] as const;

/**
 * Loads the CommonJS files of `dist/` as `require` does, except that what V8 compiled of them comes from a cache. Only
 * relative names are loaded here; everything else is Node's business.
 */
export class ScriptLoader {
  readonly #cache: CodeCache;
  readonly #modules = new Map<string, { readonly exports: unknown }>();
  readonly #scripts: LoadedScript[] = [];

  constructor(cache: CodeCache) {
    this.#cache = cache;
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
   * When a script was loaded that the cache did not have, writes all of them: with the functions that V8 compiled while
   * they ran, which are those that the next command of this kind needs.
   */
  keepCode(): void {
    if (this.#scripts.every(({ isCached }) => isCached)) return;
    for (const { source, script } of this.#scripts) {
      this.#cache.write(source, script.createCachedData());
    }
  }

  #compile(path: string): Script {
    const source = readFileSync(path);
    const cachedData = this.#cache.read(source);
    // The bundler writes ASCII, and of that V8 needs one byte a character.
    const code = wrapper.join(source.toString("latin1"));
    const script = new Script(code, {
      filename: path,
      columnOffset: -wrapper[0].length,
      ...(cachedData === undefined ? {} : { cachedData }),
    });
    const isCached = cachedData !== undefined && script.cachedDataRejected === false;
    this.#scripts.push({ source, script, isCached });
    return script;
  }

  #requireFor(path: string): Require {
    const isRelative = /^\.\.?\//;
    let others: Require | undefined;
    return (id) => {
      if (isRelative.test(id)) return this.load(resolve(dirname(path), id));
      others ??= createRequire(path);
      return others(id);
    };
  }
}
