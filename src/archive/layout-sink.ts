import { constants, createWriteStream } from "node:fs";
import { lstat, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import {
  errnoOf,
  formatReference,
  isIndexType,
  isManifestType,
  lockDirectory,
  makeFolder,
  mediaTypes,
  parseReference,
  withDefaultTag,
  type Digest,
} from "../core/index.ts";
import {
  parseIndex,
  parseManifestOrIndex,
  serializeIndex,
  type Descriptor,
} from "../image/index.ts";
import { blobPath } from "./archive-source.ts";
import { archiveError } from "./errors.ts";
import { replaceFile, writeError } from "./replace-file.ts";
import {
  calledEntry,
  namedEntry,
  nameAnnotation,
  referrerEntry,
  refNameAnnotation,
} from "./names.ts";
import type { LayoutSink } from "./types.ts";

/**
 * Opens the directory of an OCI image layout for writing; it is made when it is not there. Images that it has already
 * stay, but for those whose name is given again, and so do those that others write meanwhile. Its index is replaced last
 * and at once: whatever happens before, readers find what was there, beside blobs that nothing names. `signal` ends the
 * waiting for other writers.
 * @throws ARCHIVE_WRITE_FAILED
 */
export async function openLayoutSink(directory: string, signal?: AbortSignal): Promise<LayoutSink> {
  const layout = new DirectorySink(directory, signal);
  await layout.begin();
  return layout;
}

type Entries = Map<string, Descriptor>;

/** Blobs that are needed again are made young when they are older than that. */
const renewAfterMs = 60 * 60 * 1000;

class DirectorySink implements LayoutSink {
  readonly label: string;
  /** Each piece is a file of its own. */
  readonly isSequential = false;
  readonly #directory: string;
  readonly #signal: AbortSignal | undefined;
  /** What is new in the index, in the order in which it was told. */
  readonly #changes: ((entries: Entries) => void)[] = [];

  constructor(directory: string, signal: AbortSignal | undefined) {
    this.#signal = signal;
    this.label = `image layout ${directory}`;
    this.#directory = directory;
  }

  async begin(): Promise<void> {
    await this.#writing(async () => {
      makeFolder(this.#directory);
      // One that is damaged is told now, not when everything has been written.
      await this.#readIndex();
    });
  }

  async has({ digest, size }: Descriptor): Promise<boolean> {
    const path = this.#pathOf(blobPath(digest));
    const found = await lstat(path).catch(() => undefined);
    if (found?.isFile() !== true || found.size !== size) return false;
    // Somebody may take it for old meanwhile, who removes what has no name. Whoever may not renew it may not remove it either.
    const now = new Date();
    if (now.getTime() - found.mtimeMs > renewAfterMs) {
      await utimes(path, found.atime, now).catch(() => undefined);
    }
    return true;
  }

  async push({ digest }: Descriptor, content: Readable, signal?: AbortSignal): Promise<void> {
    await this.#writing(async () => {
      const path = this.#pathOf(blobPath(digest));
      await this.#makeFolder(dirname(path));
      await replaceFile(path, async (partial) =>
        pipeline(content, createWriteStream(partial, { flags: "r+" }), {
          ...(signal === undefined ? {} : { signal }),
        }),
      );
    });
  }

  tag(name: string, descriptor: Descriptor): Promise<void> {
    this.include(namedEntry(descriptor, withDefaultTag(parseReference(name))));
    return Promise.resolve();
  }

  include(descriptor: Descriptor): void {
    this.#changes.push((entries) => entries.set(keyOf(descriptor), descriptor));
  }

  includeReferrer(subject: Digest, descriptor: Descriptor): void {
    this.include(referrerEntry(descriptor, subject));
  }

  nameAs(ref: string, descriptor: Descriptor): void {
    this.#changes.push((entries) => renameEntry(entries, ref, descriptor));
  }

  nameInstead(ref: string, descriptor: Descriptor, before: Digest | undefined): () => boolean {
    let isDone = false;
    this.#changes.push((entries) => {
      const present = [...entries.values()].findLast((entry) => isCalled(entry, ref));
      isDone = present?.digest === before;
      if (isDone) renameEntry(entries, ref, descriptor);
    });
    return () => isDone;
  }

  async removeUnnamed({ minAge }: { readonly minAge?: number } = {}): Promise<void> {
    const isOld = async (path: string): Promise<boolean> =>
      minAge === undefined || Date.now() - (await lstat(path)).mtimeMs >= minAge;
    await this.#writing(async () => {
      const needed = await this.#reachable(await this.#readIndex());
      for (const algorithm of ["sha256", "sha512"] as const) {
        const folder = this.#pathOf(`blobs/${algorithm}`);
        for (const name of (await readdir(folder).catch(unlessAbsent)) ?? []) {
          const path = join(folder, name);
          if (needed.has(`${algorithm}:${name}`) || !(await isOld(path))) continue;
          await rm(path, { force: true });
        }
      }
    });
  }

  /** Digests of everything that entries lead to; a document that is not there leads nowhere. */
  async #reachable(entries: readonly Descriptor[]): Promise<ReadonlySet<string>> {
    const needed = new Set<string>();
    const pending = [...entries];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      if (needed.has(next.digest)) continue;
      needed.add(next.digest);
      if (!isIndexType(next.mediaType) && !isManifestType(next.mediaType)) continue;
      const bytes = await readFile(this.#pathOf(blobPath(next.digest))).catch(unlessAbsent);
      if (bytes === undefined) continue;
      const document = parseManifestOrIndex(bytes, next.mediaType);
      if (document.type === "index") pending.push(...document.index.manifests);
      else pending.push(document.manifest.config, ...document.manifest.layers);
    }
    return needed;
  }

  async finish(): Promise<void> {
    const write = async (): Promise<void> => {
      // Others may have added to it since the beginning.
      const entries: Entries = new Map();
      for (const entry of await this.#readIndex()) entries.set(keyOf(entry), entry);
      for (const change of this.#changes) change(entries);
      const manifests = [...entries.values()];
      const index = serializeIndex({ mediaType: mediaTypes.ociIndex, manifests });
      await replaceFile(this.#pathOf("oci-layout"), async (partial) =>
        writeFile(partial, JSON.stringify({ imageLayoutVersion: "1.0.0" })),
      );
      await replaceFile(this.#pathOf("index.json"), async (partial) => writeFile(partial, index));
    };
    await this.#writing(async () => {
      const lock = await lockDirectory(this.#directory, this.#signal);
      try {
        await write();
      } finally {
        await lock.close();
      }
    });
  }

  /** Nothing that was begun has a name yet. */
  abort(): Promise<void> {
    return Promise.resolve();
  }

  /** The layout may come from a stranger: what is written to it must not go through their links. */
  async #makeFolder(folder: string): Promise<void> {
    for (const path of [dirname(folder), folder]) {
      makeFolder(path);
      if ((await lstat(path)).isDirectory()) continue;
      throw archiveError("ARCHIVE_WRITE_FAILED", `write ${this.label}: ${path} is a symlink`, {
        hint: "give a directory whose blobs lie in it",
        details: { path, reason: "ELOOP" },
      });
    }
  }

  async #readIndex(): Promise<readonly Descriptor[]> {
    try {
      const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
      return parseIndex(await readFile(this.#pathOf("index.json"), { flag: flags })).manifests;
    } catch (error) {
      if (errnoOf(error) === "ENOENT") return [];
      throw error;
    }
  }

  #pathOf(path: string): string {
    return join(this.#directory, path);
  }

  async #writing(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      throw writeError(error, this.label);
    }
  }
}

function renameEntry(entries: Entries, ref: string, descriptor: Descriptor): void {
  for (const [key, entry] of entries) {
    if (isCalled(entry, ref)) entries.delete(key);
  }
  const called = calledEntry(descriptor, ref);
  entries.set(keyOf(called), called);
}

function isCalled({ annotations }: Descriptor, ref: string): boolean {
  return annotations?.[refNameAnnotation] === ref;
}

function unlessAbsent(error: unknown): undefined {
  if (errnoOf(error) === "ENOENT") return undefined;
  throw error;
}

/** By its name, else by what it is called, else by its digest; a digest that has several entries keeps them. */
function keyOf({ annotations, digest }: Descriptor): string {
  const name = annotations?.[nameAnnotation];
  if (name === undefined) return `${digest} ${annotations?.[refNameAnnotation] ?? ""}`;
  return formatReference(parseReference(name));
}
