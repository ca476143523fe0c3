import { withSuggestion } from "./suggest.ts";
import type { InstructionPart } from "./syntax-tree.ts";
import { instructionError, keywordOf, type RawInstruction } from "./raw-instruction.ts";

/** `list` flags may be repeated; all others are given once. */
export type FlagKind = "text" | "boolean" | "list";

export interface FlagValues<Name extends string> {
  text(name: Name): string | undefined;
  boolean(name: Name): boolean | undefined;
  list(name: Name): readonly string[];
}

/**
 * Checks an instruction's flags against those that it knows.
 * @throws DOCKERFILE_FLAG_UNKNOWN, DOCKERFILE_FLAG_DUPLICATE, DOCKERFILE_FLAG_VALUE
 */
export function readFlags<Name extends string>(
  raw: RawInstruction,
  kinds: Readonly<Record<Name, FlagKind>>,
): FlagValues<Name> {
  const values = new Map<string, string[]>();
  raw.flags.forEach((flag, index) => {
    const equals = flag.indexOf("=");
    const name = flag.slice(2, equals < 0 ? undefined : equals);
    const value = equals < 0 ? undefined : flag.slice(equals + 1);
    if (!isKnown(kinds, name)) throw unknownFlag(raw, index, name, Object.keys(kinds));
    const earlier = values.get(name) ?? [];
    if (earlier.length > 0 && kinds[name] !== "list") {
      throw instructionError(
        raw,
        "DOCKERFILE_FLAG_DUPLICATE",
        `duplicate flag specified: --${name}`,
        {
          hint: `give --${name} once`,
          part: { kind: "flag", index },
        },
      );
    }
    values.set(name, [...earlier, checkValue(raw, { index, name, value, kind: kinds[name] })]);
  });
  return {
    text: (name) => values.get(name)?.[0],
    boolean: (name) => {
      const value = values.get(name)?.[0];
      return value === undefined ? undefined : value === "true";
    },
    list: (name) => values.get(name) ?? [],
  };
}

/** For instructions without any flag. @throws DOCKERFILE_FLAG_UNKNOWN */
export function refuseFlags(raw: RawInstruction): void {
  readFlags(raw, {});
}

function isKnown<Name extends string>(
  kinds: Readonly<Record<Name, FlagKind>>,
  name: string,
): name is Name {
  return Object.hasOwn(kinds, name);
}

function checkValue(
  raw: RawInstruction,
  flag: {
    readonly index: number;
    readonly name: string;
    readonly value: string | undefined;
    readonly kind: FlagKind;
  },
): string {
  const { name, value } = flag;
  const part = { kind: "flag", index: flag.index } as const;
  if (flag.kind !== "boolean") {
    if (value !== undefined) return value;
    throw missingValue(raw, { name, part, hint: `write --${name}=VALUE, without blanks` });
  }
  const hint = `write --${name} or --${name}=false`;
  if (value === "") throw missingValue(raw, { name, part, hint });
  const truth = value?.toLowerCase() ?? "true";
  if (truth === "true" || truth === "false") return truth;
  throw instructionError(
    raw,
    "DOCKERFILE_FLAG_VALUE",
    `expecting boolean value for flag --${name}, not: ${String(value)}`,
    { hint, part },
  );
}

function missingValue(
  raw: RawInstruction,
  {
    name,
    ...rest
  }: { readonly name: string; readonly hint: string; readonly part: InstructionPart },
): Error {
  return instructionError(raw, "DOCKERFILE_FLAG_VALUE", `missing a value on flag: --${name}`, rest);
}

function unknownFlag(
  raw: RawInstruction,
  index: number,
  name: string,
  known: readonly string[],
): Error {
  const keyword = keywordOf(raw);
  const flags = known.map((flag) => `--${flag}`);
  const list =
    known.length === 0 ? `${keyword} has no flags` : `${keyword} knows ${flags.join(", ")}`;
  return instructionError(
    raw,
    "DOCKERFILE_FLAG_UNKNOWN",
    withSuggestion(`unknown flag: --${name}`, { word: name, candidates: known }),
    {
      hint: list,
      part: { kind: "flag", index },
    },
  );
}
