import { usageError } from "../errors.ts";
import { readPair } from "../read-pair.ts";

/** What is to be another in a config; what is not given stays. */
export interface ConfigChanges {
  /** `key=value`, added or replaced. */
  readonly labels?: readonly string[] | undefined;
  /** `key=value`, added or replaced in its place. */
  readonly env?: readonly string[] | undefined;
  /** A JSON list of words, or one word; empty for none. */
  readonly entrypoint?: string | undefined;
  /** The same. */
  readonly cmd?: string | undefined;
  readonly user?: string | undefined;
  readonly workingDir?: string | undefined;
}

/** A document of JSON as it came: what is not understood is carried along. */
export type JsonDocument = Readonly<Record<string, unknown>>;

/** @throws USAGE */
export function changeConfig(document: JsonDocument, changes: ConfigChanges): JsonDocument {
  const { labels = [], env = [], entrypoint, cmd, user, workingDir } = changes;
  const known = asDocument(document["config"]);
  const config = {
    ...known,
    ...(labels.length === 0
      ? {}
      : {
          Labels: {
            ...asDocument(known["Labels"]),
            ...Object.fromEntries(labels.map((label) => readPair(label, "label"))),
          },
        }),
    ...(env.length === 0 ? {} : { Env: mergeEnv(asTexts(known["Env"]), env) }),
    ...(entrypoint === undefined ? {} : { Entrypoint: readWords(entrypoint, "--entrypoint") }),
    ...(cmd === undefined ? {} : { Cmd: readWords(cmd, "--cmd") }),
    ...(user === undefined ? {} : { User: user }),
    ...(workingDir === undefined ? {} : { WorkingDir: workingDir }),
  };
  const isSame = Object.keys(config).length === 0 && document["config"] === undefined;
  return isSame ? document : { ...document, config };
}

export function asDocument(value: unknown): JsonDocument {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return {};
  return value as JsonDocument;
}

function asTexts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}

function mergeEnv(known: readonly string[], added: readonly string[]): readonly string[] {
  const merged = new Map<string, string>();
  for (const text of known) merged.set(text.split("=", 1)[0] ?? "", text);
  for (const text of added) merged.set(readPair(text, "variable")[0], text);
  return [...merged.values()];
}

function readWords(text: string, flag: string): readonly string[] | null {
  if (text === "") return null;
  if (!text.startsWith("[")) return [text];
  try {
    const value: unknown = JSON.parse(text);
    if (Array.isArray(value) && value.every((word) => typeof word === "string")) return value;
  } catch {
    // Told below, as what is JSON and no list of words.
  }
  throw usageError(`read ${flag} ${text}`, 'write a list such as ["sh","-c","ls"], or one word');
}
