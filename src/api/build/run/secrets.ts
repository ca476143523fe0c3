import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { isTsbuildError, readSmallInput, splitCsv, whyUnreadable } from "../../../core/index.ts";
import { apiError, usageError } from "../../errors.ts";
import { TypedFields } from "../../typed-fields.ts";

/** Bytes; the reference has the same limit. */
const maxSecretSize = 500 * 1024;

type SecretSource =
  | { readonly type: "file"; readonly path: string }
  | { readonly type: "env"; readonly name: string };

/** What `--secret` gives. */
export interface GivenSecrets {
  readonly ids: readonly string[];
  /** What is behind an id, undefined where nothing is. Read once: it may be a pipe. @throws SECRET_UNREADABLE */
  read(id: string): Promise<Buffer | undefined>;
}

/**
 * Reads `--secret`. Files are checked now and read when somebody wants them.
 * @throws USAGE, SECRET_UNREADABLE
 */
export async function openSecrets(
  texts: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<GivenSecrets> {
  const sources = new Map(texts.map((text) => readSecret(text, env)));
  for (const [id, source] of sources) {
    if (source.type === "file") await checkFile(id, source.path);
  }
  const contents = new Map<string, Promise<Buffer | undefined>>();
  const read = async (id: string): Promise<Buffer | undefined> => {
    const source = sources.get(id);
    if (source === undefined) return undefined;
    if (source.type === "file") return readLimited(id, source.path);
    const value = env[source.name];
    return value === undefined ? undefined : limited(id, Buffer.from(value));
  };
  return {
    ids: [...sources.keys()],
    read: (id) => {
      let content = contents.get(id);
      if (content === undefined) {
        content = read(id);
        contents.set(id, content);
      }
      return content;
    },
  };
}

function readSecret(text: string, env: NodeJS.ProcessEnv): [string, SecretSource] {
  const fields = new Fields(text);
  const id = fields.take("id") ?? "";
  if (id === "") fields.refuse("it has no id", "add id=NAME, as the Dockerfile has it");
  return [id, sourceOf(fields, { id, env })];
}

/** The fields of one secret: comma-separated values, of which one in quotes may have commas in it. */
class Fields extends TypedFields {
  readonly #text: string;

  constructor(text: string) {
    super();
    this.#text = text;
    for (const field of splitCsv(text)) {
      const equals = field.indexOf("=");
      const shown = JSON.stringify(field);
      if (equals < 0) this.refuse(`${shown} must be a key=value pair`);
      const key = field.slice(0, equals).toLowerCase();
      if (!["type", "id", "src", "source", "env"].includes(key)) {
        const known = "the keys are id, src, env and type";
        this.refuse(`unexpected key ${JSON.stringify(key)}`, known);
      }
      this.values.set(key === "source" ? "src" : key, field.slice(equals + 1));
    }
  }

  refuse(reason: string, hint = "for example --secret id=npmrc,src=.npmrc"): never {
    throw usageError(`read --secret ${this.#text}: ${reason}`, hint);
  }

  fail(hint: string): never {
    return this.refuse("it cannot be read", hint);
  }
}

/** Without a type, an environment variable of the id's name goes before a file of that name. */
function sourceOf(
  fields: Fields,
  secret: { readonly id: string; readonly env: NodeJS.ProcessEnv },
): SecretSource {
  const { id } = secret;
  const [type, src, name] = [fields.take("type"), fields.take("src"), fields.take("env")];
  switch (type) {
    case "env":
      return { type: "env", name: name ?? src ?? id };
    case "file":
      return { type: "file", path: resolve(src ?? id) };
    case undefined:
      if (name !== undefined) return { type: "env", name };
      if (src === undefined && secret.env[id] !== undefined) return { type: "env", name: id };
      return { type: "file", path: resolve(src ?? id) };
    default:
      return fields.refuse(
        `unsupported secret type ${JSON.stringify(type)}`,
        "the types are file and env",
      );
  }
}

async function checkFile(id: string, path: string): Promise<void> {
  const found = await stat(path).catch((cause: unknown) => {
    throw unreadable(id, path, { reason: whyUnreadable(cause), cause });
  });
  if (found.isDirectory()) throw unreadable(id, path, { reason: "it is a directory" });
  if (found.size > maxSecretSize) throw tooBig(id);
}

async function readLimited(id: string, path: string): Promise<Buffer> {
  try {
    return await readSmallInput(path, { limit: maxSecretSize });
  } catch (cause) {
    if (isTsbuildError(cause, "FILE_UNSUITABLE") && "limit" in cause.details) throw tooBig(id);
    throw unreadable(id, path, { reason: whyUnreadable(cause), cause });
  }
}

function limited(id: string, value: Buffer): Buffer {
  if (value.length <= maxSecretSize) return value;
  throw tooBig(id);
}

function tooBig(id: string): Error {
  return apiError("SECRET_UNREADABLE", `secret ${id} too big. max size 500KB`, {
    hint: "give large files to RUN by --mount=type=bind",
    details: { id },
  });
}

function unreadable(
  id: string,
  path: string,
  why: { readonly reason: string; readonly cause?: unknown },
): Error {
  return apiError("SECRET_UNREADABLE", `read secret ${id} from ${path}: ${why.reason}`, {
    hint: "check the path after src=",
    details: { id, path },
    cause: why.cause,
  });
}
