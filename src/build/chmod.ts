import { buildError } from "./errors.ts";

/** The mode of a copied node: from its own mode and whether it is a directory. */
export type ModeChange = (mode: number, isDirectory: boolean) => number;

export interface ParsedMode {
  readonly apply: ModeChange;
  /** The mode when it was given as a number: directories that COPY has to create get it too. */
  readonly octal?: number;
}

/**
 * `--chmod` as octal (`755`) or symbolic (`u=rwX,go=rX`), the latter evaluated against each source's mode with umask 0.
 *
 * Symbols mean what they mean to BSD's chmod, which the reference builder follows: `=` takes setuid and setgid away from
 * directories too but leaves the sticky bit, copies (`g=u`) leave all three, and `X` asks for the mode as it was before.
 * @throws BUILD_COPY_MODE_INVALID
 */
export function parseMode(text: string): ParsedMode {
  if (/^[0-9]/.test(text)) {
    const octal = /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number.NaN;
    if (!(octal <= 0o7777)) throw invalidMode(text);
    return { octal, apply: () => octal };
  }
  const steps = text.split(",").flatMap((clause) => readClause(clause, text));
  return {
    apply: (mode, isDirectory) => {
      const canSearch = isDirectory || (mode & 0o111) !== 0;
      return steps.reduce((now, step) => applyStep(step, now, canSearch), mode);
    },
  };
}

/** One change of a mode; a clause is a list of them. */
type Step =
  | { readonly kind: "clear" | "set"; readonly bits: number }
  /** Sets bits when the node could be searched or executed by somebody before. */
  | { readonly kind: "search"; readonly bits: number }
  /** Copies the permissions of one class to others. */
  | {
      readonly kind: "copy";
      readonly from: keyof typeof shifts;
      readonly to: number;
      readonly operator: string;
    };

const shifts = { u: 6, g: 3, o: 0 };
/** The permissions of a class, and the bit that goes with them. */
const classBits: Readonly<Record<string, number>> = { u: 0o4700, g: 0o2070, o: 0o007, a: 0o6777 };
const permissionBits: Readonly<Record<string, number>> = { r: 0o444, w: 0o222, x: 0o111 };

function readClause(clause: string, whole: string): Step[] {
  const match = /^([ugoa]*)((?:[-+=][rwxXstugo]*)+)$/.exec(clause);
  if (match === null) throw invalidMode(whole);
  const classes = [...(match[1] ?? "")].reduce((bits, name) => bits | (classBits[name] ?? 0), 0);
  return [...(match[2] ?? "").matchAll(/([-+=])([rwxXstugo]*)/g)].flatMap(
    ([, operator = "", letters = ""]) => readAction({ classes, operator, letters }),
  );
}

/** `classes` is 0 when none is named, which means all. */
function readAction(action: {
  readonly classes: number;
  readonly operator: string;
  readonly letters: string;
}): Step[] {
  const { operator, letters } = action;
  const steps: Step[] = [];
  let who = action.classes;
  let bits = 0;
  let searchBits = 0;
  let isAssigned = false;
  const flush = (): void => {
    const assigns = operator === "=" && (bits !== 0 || !isAssigned);
    if (assigns) steps.push({ kind: "clear", bits: who === 0 ? 0o6777 : who });
    const kind = operator === "-" ? "clear" : "set";
    if (bits !== 0) steps.push({ kind, bits: who === 0 ? bits : bits & who });
    if (searchBits !== 0) steps.push({ kind: "search", bits: who === 0 ? 0o111 : who & 0o111 });
    bits = 0;
    searchBits = 0;
  };
  for (const letter of letters) {
    const permission = permissionBits[letter];
    // These belong to nobody else's class.
    const isOthersAlone = who !== 0 && (who & ~0o007) === 0;
    if (permission !== undefined) bits |= permission;
    else if (letter === "s" && !isOthersAlone) bits |= 0o6000;
    else if (letter === "t" && !isOthersAlone) {
      who |= 0o1000;
      bits |= 0o1000;
    } else if (letter === "X" && operator === "-") bits |= 0o111;
    else if (letter === "X") searchBits = 0o111;
    else if (letter === "u" || letter === "g" || letter === "o") {
      // What it copies to is cleared by the copy itself.
      isAssigned = true;
      flush();
      steps.push({ kind: "copy", from: letter, to: who === 0 ? 0o777 : who & 0o777, operator });
    }
  }
  flush();
  return steps;
}

function applyStep(step: Step, mode: number, canSearch: boolean): number {
  switch (step.kind) {
    case "clear":
      return mode & ~step.bits;
    case "set":
      return mode | step.bits;
    case "search":
      return canSearch ? mode | step.bits : mode;
    case "copy": {
      const copied = (((mode >> shifts[step.from]) & 7) * 0o111) & step.to;
      if (step.operator === "-") return mode & ~copied;
      return (step.operator === "=" ? mode & ~step.to : mode) | copied;
    }
  }
}

function invalidMode(text: string): Error {
  return buildError(
    "BUILD_COPY_MODE_INVALID",
    `invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777`,
    { hint: "for example --chmod=644, --chmod=0755 or --chmod=u=rwX,go=rX" },
  );
}
