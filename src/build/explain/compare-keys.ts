import { setImmediate as turn } from "node:timers/promises";
import type { CacheKeyObject, KeyField } from "../../cache/index.ts";
import { canonicalJson, type JsonValue } from "../../core/index.ts";
import type { FieldChange, FileChange } from "./reason.ts";

/** In what two keys differ. */
export interface KeyChanges {
  /** In the order of the current key; then those that are gone. */
  readonly fields: readonly FieldChange[];
  /** By number of the source that the files were read from. */
  readonly files: ReadonlyMap<number, ChangedFiles>;
  /** Names of the fields that stand for inputs (`parent`, `base`, `from.1`, `layers`) and differ. */
  readonly inputs: readonly string[];
}

export interface ChangedFiles {
  /** The first ones. */
  readonly files: readonly FileChange[];
  readonly changed: number;
  /** How many there are now. */
  readonly total: number;
}

const namedFiles = 10;

/** After so many files others have their turn: to read them from a key takes about 10 ms. */
const filesAtOnce = 4096;

interface FileField {
  readonly source: number;
  readonly path: string;
  readonly digest: string;
  readonly mode: number;
}

/**
 * Compares two keys of the same kind. Both are read once and side by side, so that keys of 200,000 files take no memory.
 * `placeOf` tells in which order a key names the files of its sources.
 * @throws CACHE_KEY_DAMAGED
 */
export async function compareKeys(
  previous: CacheKeyObject,
  current: CacheKeyObject,
  placeOf: (source: number) => number = (source) => source,
): Promise<KeyChanges> {
  const [before, now] = [new KeySide(previous), new KeySide(current)];
  const files = new Map<number, MutableChanges>();
  const changesOf = (source: number): MutableChanges => {
    const known = files.get(source) ?? { files: [], changed: 0, total: 0 };
    files.set(source, known);
    return known;
  };
  const note = (source: number, change: FileChange): void => {
    const changes = changesOf(source);
    if (++changes.changed <= namedFiles) changes.files.push(change);
  };
  try {
    let [old, fresh] = [before.nextFile(), now.nextFile()];
    for (let count = 1; old !== undefined || fresh !== undefined; count += 1) {
      if (count % filesAtOnce === 0) await turn();
      const order = compareFiles(old, fresh, placeOf);
      if (fresh !== undefined && order >= 0) changesOf(fresh.source).total += 1;
      if (old !== undefined && order < 0) note(old.source, { path: old.path, how: "removed" });
      else if (fresh !== undefined && order > 0)
        note(fresh.source, { path: fresh.path, how: "added" });
      else if (old !== undefined && fresh !== undefined && old.digest !== fresh.digest) {
        note(fresh.source, changeOf(old, fresh));
      }
      if (order <= 0) old = before.nextFile();
      if (order >= 0) fresh = now.nextFile();
    }
  } finally {
    before.close();
    now.close();
  }
  return {
    fields: changedFields(before.fields, now.fields),
    files: new Map([...files].filter(([, { changed }]) => changed > 0)),
    inputs: changedInputs(before.fields, now.fields),
  };
}

function changeOf({ mode: previousMode }: FileField, { path, mode }: FileField): FileChange {
  return previousMode === mode
    ? { path, how: "content" }
    : { path, how: "mode", previousMode, currentMode: mode };
}

interface MutableChanges {
  readonly files: FileChange[];
  changed: number;
  total: number;
}

/** Reads a key from its beginning to its end: file by file, and what else there is on the way. */
class KeySide {
  readonly fields = new Map<string, JsonValue>();
  readonly #rest: Iterator<KeyField>;

  constructor({ fields }: CacheKeyObject) {
    this.#rest = fields[Symbol.iterator]();
  }

  /** Ends the reading, however far it got. */
  close(): void {
    this.#rest.return?.();
  }

  nextFile(): FileField | undefined {
    for (;;) {
      const next = this.#rest.next();
      if (next.done === true) return undefined;
      const { name, value } = next.value;
      if (name.startsWith("file:")) return { path: name.slice("file:".length), ...fileOf(value) };
      // The digest of all files says nothing that the files do not say.
      if (!name.startsWith("files.")) this.fields.set(name, value);
    }
  }
}

function fileOf(value: JsonValue): Omit<FileField, "path"> {
  const { source, digest, mode } = value as unknown as Omit<FileField, "path">;
  return { source, digest, mode };
}

/**
 * In the order in which trees are walked: a directory before its content, and that before what follows.
 */
function compareFiles(
  a: FileField | undefined,
  b: FileField | undefined,
  placeOf: (source: number) => number,
): number {
  if (a === undefined) return 1;
  if (b === undefined) return -1;
  if (a.source !== b.source) return placeOf(a.source) - placeOf(b.source);
  if (a.path === b.path) return 0;
  return Buffer.compare(orderOf(a.path), orderOf(b.path));
}

/** Bytes that are no text are written as \xNN in a key, and sorted as what they are. */
function orderOf(path: string): Buffer {
  if (path === ".") return Buffer.alloc(0);
  const separated = Buffer.from(path.replaceAll("/", "\0"));
  if (!path.includes("\\x")) return separated;
  const latin = separated.toString("latin1");
  const bytes = latin.replace(/\\x([89a-f][0-9a-f])/g, (_text, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(bytes, "latin1");
}

const inputFields = /^(?:parent|base|layers|from\.\d+)$/;

function changedFields(
  before: ReadonlyMap<string, JsonValue>,
  now: ReadonlyMap<string, JsonValue>,
): readonly FieldChange[] {
  const changes: FieldChange[] = [];
  for (const [field, current] of now) {
    if (inputFields.test(field)) continue;
    const previous = before.get(field);
    if (previous === undefined) changes.push({ type: "field", field, current });
    else if (!isSame(previous, current)) changes.push({ type: "field", field, previous, current });
  }
  for (const [field, previous] of before) {
    if (!now.has(field) && !inputFields.test(field))
      changes.push({ type: "field", field, previous });
  }
  return changes;
}

function changedInputs(
  before: ReadonlyMap<string, JsonValue>,
  now: ReadonlyMap<string, JsonValue>,
): readonly string[] {
  const names = new Set([...now.keys(), ...before.keys()].filter((name) => inputFields.test(name)));
  return [...names].filter((name) => !isSame(before.get(name) ?? null, now.get(name) ?? null));
}

function isSame(a: JsonValue, b: JsonValue): boolean {
  return canonicalJson(a) === canonicalJson(b);
}
