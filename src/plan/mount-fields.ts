import type { SourceLocation } from "../core/index.ts";
import { didYouMean } from "../dockerfile/index.ts";
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
  for (const field of splitFields(text)) {
    const equals = field.indexOf("=");
    const key = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
    if (equals < 0) readFlag(draft, key, fail);
    else {
      const raw = field.slice(equals + 1);
      readField(draft, { key, value: key === "from" ? raw : options.expand(raw) }, fail);
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
  const field = splitFields(text).findLast((part) => /^from=/i.test(part));
  const name = field?.slice("from=".length);
  return name === "" ? undefined : name;
}

/** The target as written; empty when there is none. */
export function readMountTarget(text: string): string {
  const field = splitFields(text).findLast((part) => /^(?:target|dst|destination)=/i.test(part));
  return field?.slice(field.indexOf("=") + 1) ?? "";
}

type Fail = (reason: string, hint: string) => Error;

function readFlag(draft: Draft, key: string, fail: Fail): void {
  if (key === "readonly" || key === "ro") draft.readOnly = true;
  else if (key === "readwrite" || key === "rw") draft.readOnly = false;
  else if (key === "required") draft.required = checkRequired(draft, fail);
  else throw fail(`${JSON.stringify(key)} must be a key=value pair`, unknownHint(key));
}

function readField(
  draft: Draft,
  { key, value }: { readonly key: string; readonly value: string },
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
      draft.readOnly = readBoolean(value, fail);
      return;
    case "readwrite":
    case "rw":
      draft.readOnly = !readBoolean(value, fail);
      return;
    case "required":
      draft.required = checkRequired(draft, fail) && readBoolean(value, fail);
      return;
    case "size":
      if (draft.type !== "tmpfs")
        throw fail("only tmpfs has a size", "write type=tmpfs before size");
      draft.sizeBytes = readSize(value, fail);
      return;
    case "id":
      draft.id = value;
      return;
    case "sharing":
      draft.sharing = chooseSharing(value, fail);
      return;
    case "mode":
      draft.mode = readNumber(value, 8, fail);
      return;
    case "uid":
    case "gid":
      draft[key] = readNumber(value, 10, fail);
      return;
    case "env":
      draft.env = value;
      return;
    default:
      throw fail(`unexpected key ${JSON.stringify(key)}`, unknownHint(key));
  }
}

function checkCombination(draft: Draft, fail: Fail): void {
  const type = draft.type ?? "bind";
  const owned = draft.mode !== undefined || draft.uid !== undefined || draft.gid !== undefined;
  if (owned && (type === "bind" || type === "tmpfs")) {
    throw fail(`mode, uid and gid mean nothing for ${type}`, "use them with cache, secret or ssh");
  }
  if (draft.sharing !== undefined && type !== "cache") {
    throw fail(`sharing means nothing for ${type}`, "use it with type=cache");
  }
  if (type === "ssh" && draft.source !== undefined) {
    throw fail("an ssh mount has no source", "use id to choose an agent");
  }
  if (type !== "secret") return;
  if (draft.from !== undefined && draft.from !== "") {
    throw fail(
      "from is not allowed for a secret",
      "secrets come from --secret on the command line",
    );
  }
  if ((draft.id ?? "") !== "" && (draft.source ?? "") !== "") {
    throw fail("a secret has either an id or a source", "remove one of them");
  }
  if (!draft.id && !draft.source && !draft.target) {
    throw fail(
      "invalid secret mount: it has neither an id nor a target",
      "for example --mount=type=secret,id=npmrc",
    );
  }
}

function checkRequired({ type }: Draft, fail: Fail): true {
  if (type === "secret" || type === "ssh") return true;
  throw fail("only secret and ssh can be required", "write type=secret before required");
}

function chooseType(value: string, fail: Fail): MountFields["type"] {
  const found = types.find((type) => type === value.toLowerCase());
  if (found !== undefined) return found;
  throw fail(
    `unsupported mount type ${JSON.stringify(value)}`,
    didYouMean(value, types) ?? `the types are ${types.join(", ")}`,
  );
}

function chooseSharing(value: string, fail: Fail): NonNullable<MountFields["sharing"]> {
  const found = sharings.find((sharing) => sharing === value.toLowerCase());
  if (found !== undefined) return found;
  throw fail(
    `unsupported sharing value ${JSON.stringify(value)}`,
    didYouMean(value, sharings) ?? `choose one of ${sharings.join(", ")}`,
  );
}

function readBoolean(value: string, fail: Fail): boolean {
  if (/^(?:1|t|T|true|TRUE|True)$/.test(value)) return true;
  if (/^(?:0|f|F|false|FALSE|False)$/.test(value)) return false;
  throw fail(`${JSON.stringify(value)} is neither true nor false`, "write true or false");
}

function readNumber(value: string, base: 8 | 10, fail: Fail): number {
  const number = (base === 8 ? /^[0-7]+$/ : /^\d+$/).test(value)
    ? Number.parseInt(value, base)
    : NaN;
  if (number < 2 ** 32) return number;
  throw fail(
    `${JSON.stringify(value)} is no ${base === 8 ? "octal " : ""}number`,
    "use digits only",
  );
}

/** Bytes of `128m`, `1.5g`, `4096`, `2 KiB`: every unit counts in powers of 1024. */
function readSize(value: string, fail: Fail): number {
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?$/i.exec(value);
  if (match === null)
    throw fail(`${JSON.stringify(value)} is no size`, "write for example 128m or 1g");
  const power = " kmgtp".indexOf((match[2] ?? "").toLowerCase() || " ");
  return Math.floor(Number(match[1]) * 1024 ** power);
}

function unknownHint(key: string): string {
  return didYouMean(key, keys) ?? `the keys are ${keys.join(", ")}`;
}

/** Comma-separated values; a field between double quotes may hold commas, and `""` is a quote in it. */
function splitFields(text: string): readonly string[] {
  const fields: string[] = [];
  for (const match of text.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"(?=,|$)|([^,]*))/g)) {
    fields.push(match[1] === undefined ? (match[2] ?? "") : match[1].replaceAll('""', '"'));
  }
  return fields;
}
