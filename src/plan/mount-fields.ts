import { parseSize, splitCsv, type SourceLocation } from "../core/index.ts";
import { withSuggestion } from "../dockerfile/index.ts";
import { planError } from "./errors.ts";

/** What a `--mount` value says, before anything is looked up. */
export interface MountFields {
  readonly type: "bind" | "cache" | "tmpfs" | "secret" | "ssh";
  readonly from: string;
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  readonly required: boolean;
  readonly id: string;
  readonly env?: string;
  readonly sizeBytes?: number;
  readonly sharing?: "shared" | "private" | "locked";
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

type Draft = { -readonly [Field in keyof MountFields]?: MountFields[Field] };

const types = ["bind", "cache", "tmpfs", "secret", "ssh"] as const;
const sharings = ["shared", "private", "locked"] as const;
const keys =
  "type from source src target dst destination readonly ro readwrite rw required size id sharing mode uid gid env".split(
    " ",
  );
const knownKeys = `the keys are ${keys.join(", ")}`;

/**
 * Reads the comma-separated fields in order: some are only allowed after the type that they belong to.
 * @throws PLAN_MOUNT_INVALID, and DOCKERFILE_* from `expand`
 */
export function readMountFields(
  text: string,
  options: { readonly location: SourceLocation; readonly expand: (word: string) => string },
): MountFields {
  const { location } = options;
  const fail = (reason: string, hint: string): Error =>
    planError("PLAN_MOUNT_INVALID", `read --mount=${text}: ${reason}`, {
      hint,
      location,
      details: { word: `--mount=${text}` },
    });
  const draft: Draft = {};
  for (const field of splitCsv(text)) {
    const equals = field.indexOf("=");
    const key = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
    if (equals < 0) readFlag(draft, { key, field }, fail);
    else {
      const raw = field.slice(equals + 1);
      readField(draft, { key, field, value: key === "from" ? raw : options.expand(raw) }, fail);
    }
  }
  checkCombination(draft, fail);
  const type = draft.type ?? "bind";
  return {
    ...draft,
    type,
    from: draft.from ?? "",
    source: draft.source ?? "",
    target: draft.target ?? "",
    readOnly: draft.readOnly ?? (type !== "cache" && type !== "tmpfs"),
    required: draft.required ?? false,
    id: draft.id ?? "",
  };
}

/** The stage or image behind `from=`, which is never expanded. */
export function readMountSource(text: string): string | undefined {
  const field = splitCsv(text).findLast((part) => /^from=/i.test(part));
  const name = field?.slice("from=".length);
  return name === "" ? undefined : name;
}

/** The target as written; empty when there is none. */
export function readMountTarget(text: string): string {
  const field = splitCsv(text).findLast((part) => /^(?:target|dst|destination)=/i.test(part));
  return field?.slice(field.indexOf("=") + 1) ?? "";
}

type Fail = (reason: string, hint: string) => Error;

/** A field as written, and the key that it begins with. */
interface WrittenField {
  readonly key: string;
  readonly field: string;
}

function readFlag(draft: Draft, { key, field }: WrittenField, fail: Fail): void {
  if (key === "readonly" || key === "ro") draft.readOnly = true;
  else if (key === "readwrite" || key === "rw") draft.readOnly = false;
  else if (key === "required") draft.required = checkRequired(draft, fail);
  else throw fail(`invalid field '${field}' must be a key=value pair`, knownKeys);
}

function readField(
  draft: Draft,
  { key, field, value }: WrittenField & { readonly value: string },
  fail: Fail,
): void {
  switch (key) {
    case "type":
      draft.type = chooseType(value, fail);
      return;
    case "from":
      draft.from = value;
      return;
    case "source":
    case "src":
      draft.source = value;
      return;
    case "target":
    case "dst":
    case "destination":
      draft.target = value;
      return;
    case "readonly":
    case "ro":
      draft.readOnly = readBoolean({ key, value }, fail);
      return;
    case "readwrite":
    case "rw":
      draft.readOnly = !readBoolean({ key, value }, fail);
      return;
    case "required":
      draft.required = checkRequired(draft, fail) && readBoolean({ key, value }, fail);
      return;
    case "size":
      if (draft.type !== "tmpfs") throw unexpectedKey(key, { draft, fail }, "type=tmpfs");
      draft.sizeBytes = readSize(value, fail);
      return;
    case "id":
      draft.id = value;
      return;
    case "sharing":
      draft.sharing = chooseSharing(value, fail);
      return;
    case "mode":
      draft.mode = readNumber({ key, value, base: 8 }, fail);
      return;
    case "uid":
    case "gid":
      draft[key] = readNumber({ key, value, base: 10 }, fail);
      return;
    case "env":
      draft.env = value;
      return;
    default:
      throw fail(
        withSuggestion(`unexpected key '${key}' in '${field}'`, { word: key, candidates: keys }),
        knownKeys,
      );
  }
}

function checkCombination(draft: Draft, fail: Fail): void {
  const type = draft.type ?? "bind";
  const looks = (["mode", "uid", "gid"] as const).find((key) => draft[key] !== undefined);
  if (looks !== undefined && (type === "bind" || type === "tmpfs")) {
    throw fail(
      `${looks} not allowed for "${type}" type mounts`,
      "use it with cache, secret or ssh",
    );
  }
  if (draft.sharing !== undefined && type !== "cache") {
    const reason =
      type === "secret"
        ? "secret mount should not define sharing"
        : `invalid cache sharing set for ${type} mount`;
    throw fail(reason, "use it with type=cache");
  }
  if (type === "ssh" && draft.source !== undefined) {
    throw fail("ssh does not support source", "use id to choose an agent");
  }
  if (type === "secret") checkSecret(draft, fail);
}

function checkSecret({ from, id, source, target }: Draft, fail: Fail): void {
  if (from !== undefined && from !== "") {
    throw fail(
      "secret mount should not have a from",
      "secrets come from --secret on the command line",
    );
  }
  if ((id ?? "") !== "" && (source ?? "") !== "") {
    throw fail("both source and id can't be set", "remove one of them");
  }
  if (!id && !source && !target) {
    throw fail(
      "invalid secret mount. one of source, target required",
      "for example --mount=type=secret,id=npmrc",
    );
  }
}

function checkRequired(draft: Draft, fail: Fail): true {
  if (draft.type === "secret" || draft.type === "ssh") return true;
  throw unexpectedKey("required", { draft, fail }, "type=secret or type=ssh");
}

/** A key that only some types have, and only behind their name. */
function unexpectedKey(
  key: string,
  { draft, fail }: { readonly draft: Draft; readonly fail: Fail },
  types: string,
): Error {
  const { type = "bind" } = draft;
  return fail(`unexpected key '${key}' for mount type '${type}'`, `write ${types} before ${key}`);
}

function chooseType(value: string, fail: Fail): MountFields["type"] {
  const found = types.find((type) => type === value.toLowerCase());
  if (found !== undefined) return found;
  throw fail(
    withSuggestion(`unsupported mount type ${JSON.stringify(value)}`, {
      word: value,
      candidates: types,
    }),
    `the types are ${types.join(", ")}`,
  );
}

function chooseSharing(value: string, fail: Fail): NonNullable<MountFields["sharing"]> {
  const found = sharings.find((sharing) => sharing === value.toLowerCase());
  if (found !== undefined) return found;
  throw fail(
    withSuggestion(`unsupported sharing value ${JSON.stringify(value)}`, {
      word: value,
      candidates: sharings,
    }),
    `choose one of ${sharings.join(", ")}`,
  );
}

interface KeyValue {
  readonly key: string;
  readonly value: string;
}

function readBoolean({ key, value }: KeyValue, fail: Fail): boolean {
  if (/^(?:1|t|T|true|TRUE|True)$/.test(value)) return true;
  if (/^(?:0|f|F|false|FALSE|False)$/.test(value)) return false;
  throw fail(`invalid value for ${key}: ${value}`, "write true or false");
}

function readNumber(
  { key, value, base }: KeyValue & { readonly base: 8 | 10 },
  fail: Fail,
): number {
  const number = (base === 8 ? /^[0-7]+$/ : /^\d+$/).test(value)
    ? Number.parseInt(value, base)
    : NaN;
  if (number < 2 ** 32) return number;
  const kind = base === 8 ? "an octal" : "a";
  throw fail(`invalid value ${value} for ${key}`, `write ${kind} number`);
}

function readSize(value: string, fail: Fail): number {
  const size = parseSize(value);
  if (size !== undefined) return size;
  throw fail(`invalid value for size: ${value}`, "write for example 128m or 1g");
}
