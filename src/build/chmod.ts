import { buildError } from "./errors.ts";

/** The mode of a copied node: from its own mode and whether it is a directory. */
export type ModeChange = (mode: number, isDirectory: boolean) => number;

export interface ParsedMode {
  readonly apply: ModeChange;
  /** The mode when it was given as a number: directories that COPY has to create get it too. */
  readonly octal?: number;
}

const classBits: Readonly<Record<string, number>> = { u: 0o700, g: 0o070, o: 0o007, a: 0o777 };
const shifts: Readonly<Record<string, number>> = { u: 6, g: 3, o: 0 };

/**
 * `--chmod` as octal (`755`) or symbolic (`u=rwX,go=rX`), the latter evaluated against each source's mode with umask 0.
 * @throws BUILD_COPY_MODE_INVALID
 */
export function parseMode(text: string): ParsedMode {
  if (/^[0-9]/.test(text)) {
    const octal = /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number.NaN;
    if (!(octal <= 0o7777)) throw invalidMode(text);
    return { octal, apply: () => octal };
  }
  const clauses = text.split(",").map((clause) => parseClause(clause, text));
  return {
    apply: (mode, isDirectory) =>
      clauses.reduce((changed, clause) => clause(changed, isDirectory), mode),
  };
}

function parseClause(clause: string, whole: string): ModeChange {
  const match = /^([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)$/.exec(clause);
  if (match === null) throw invalidMode(whole);
  const who = match[1] === "" || match[1] === undefined ? "a" : match[1];
  const actions = [...(match[2] ?? "").matchAll(/([-+=])([ugo]|[rwxXst]*)/g)];
  return (mode, isDirectory) => {
    let changed = mode;
    for (const [, operator, permissions] of actions) {
      const bits = permissionBits({
        who,
        permissions: permissions ?? "",
        mode: changed,
        isDirectory,
      });
      if (operator === "+") changed |= bits;
      else if (operator === "-") changed &= ~bits;
      else changed = (changed & ~affectedBits(who, isDirectory)) | bits;
    }
    return changed & 0o7777;
  };
}

/** What `=` clears: the classes named, and setuid, setgid or sticky with them (kept on directories, as chmod does). */
function affectedBits(who: string, isDirectory: boolean): number {
  let bits = [...who].reduce((mask, each) => mask | (classBits[each] ?? 0), 0);
  if (isDirectory) return bits;
  if (/[ua]/.test(who)) bits |= 0o4000;
  if (/[ga]/.test(who)) bits |= 0o2000;
  if (/[oa]/.test(who)) bits |= 0o1000;
  return bits;
}

function permissionBits(request: {
  readonly who: string;
  readonly permissions: string;
  readonly mode: number;
  readonly isDirectory: boolean;
}): number {
  const { who, permissions, mode, isDirectory } = request;
  const mask = [...who].reduce((all, each) => all | (classBits[each] ?? 0), 0);
  const copied = shifts[permissions];
  if (copied !== undefined) return repeat((mode >> copied) & 7) & mask;
  let bits = 0;
  for (const permission of permissions) {
    if (permission === "r") bits |= 0o444 & mask;
    if (permission === "w") bits |= 0o222 & mask;
    if (permission === "x") bits |= 0o111 & mask;
    if (permission === "X" && (isDirectory || (mode & 0o111) !== 0)) bits |= 0o111 & mask;
    if (permission === "s")
      bits |= (/[ua]/.test(who) ? 0o4000 : 0) | (/[ga]/.test(who) ? 0o2000 : 0);
    if (permission === "t") bits |= 0o1000;
  }
  return bits;
}

function repeat(bits: number): number {
  return (bits << 6) | (bits << 3) | bits;
}

function invalidMode(text: string): Error {
  return buildError(
    "BUILD_COPY_MODE_INVALID",
    `invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777`,
    { hint: "for example --chmod=644, --chmod=0755 or --chmod=u=rwX,go=rX" },
  );
}
