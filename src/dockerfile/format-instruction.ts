import { trimEnd, trimEndOf, trimStart, type EscapeCharacter } from "./characters.ts";
import { formatFlag, formatList, formatMarker, formatRest } from "./format-words.ts";
import { findHeredocMarkers } from "./heredoc.ts";
import { mayHaveHeredocs } from "./logical-lines.ts";
import type {
  AddInstruction,
  CommandForm,
  CopyInstruction,
  EnvInstruction,
  Heredoc,
  HealthcheckInstruction,
  Instruction,
  LabelInstruction,
  RunInstruction,
} from "./types.ts";

/** Bytes that a line may have, with room for the continuation at its end. */
const longestLine = 60_000;

/** One instruction as text, with the line feed at its end; see `formatDockerfile`. */
export function formatInstruction(instruction: Instruction, escape: EscapeCharacter): string {
  if (instruction.keyword === "ONBUILD") return formatOnbuild(instruction.trigger, escape);
  const heredocs = "heredocs" in instruction ? instruction.heredocs : [];
  const quoted = formatLine(instruction, { escape, opensSubstitution: false });
  // What looks like a marker was none because of a flag that looks like an open substitution: it must go on doing so.
  const hides = heredocs.length === 0 && markersOf(quoted, escape).length > 0;
  const text = hides ? formatLine(instruction, { escape, opensSubstitution: true }) : quoted;
  return (
    breakLine(text, escape) + formatBodies(text, { keyword: instruction.keyword, heredocs, escape })
  );
}

interface LineStyle {
  readonly escape: EscapeCharacter;
  /** Whether flags that hold `${` are written bare, which takes everything behind them for a part of it. */
  readonly opensSubstitution: boolean;
}

function formatLine(
  instruction: Exclude<Instruction, { readonly keyword: "ONBUILD" }>,
  style: LineStyle,
): string {
  const flags = flagsOf(instruction, style);
  const words = [instruction.keyword, ...flags, restOf(instruction, style.escape)];
  return words.filter((word) => word !== "").join(" ");
}

type FlagValue = string | number | boolean | undefined | readonly string[];

function flagsOf(instruction: Instruction, style: LineStyle): readonly string[] {
  return Object.entries(flagValuesOf(instruction)).flatMap(([name, value]) => {
    if (value === undefined || value === false) return [];
    const values = typeof value === "object" ? value : [String(value)];
    return values.map((text) => formatFlag(name, { value: text, ...style }));
  });
}

function flagValuesOf(instruction: Instruction): Readonly<Record<string, FlagValue>> {
  switch (instruction.keyword) {
    case "FROM":
      return { platform: instruction.platform };
    case "RUN":
      return runFlags(instruction);
    case "COPY":
      return { from: instruction.from, parents: instruction.parents, ...copyFlags(instruction) };
    case "ADD":
      return addFlags(instruction);
    case "HEALTHCHECK":
      return healthcheckFlags(instruction);
    default:
      return {};
  }
}

function runFlags({ mounts, network, security }: RunInstruction): Record<string, FlagValue> {
  return { mount: mounts, network, security };
}

function copyFlags(instruction: CopyInstruction | AddInstruction): Record<string, FlagValue> {
  const { chown, chmod, link, exclude } = instruction;
  return { chown, chmod, link, exclude };
}

function addFlags(instruction: AddInstruction): Record<string, FlagValue> {
  const { checksum, keepGitDir, unpack } = instruction;
  return {
    ...copyFlags(instruction),
    checksum,
    "keep-git-dir": keepGitDir === undefined ? undefined : String(keepGitDir),
    // Without the flag the kind of the source decides.
    unpack: unpack === undefined ? undefined : String(unpack),
  };
}

function healthcheckFlags(instruction: HealthcheckInstruction): Record<string, FlagValue> {
  const { interval, timeout, startPeriod, startInterval, retries } = instruction;
  return {
    interval: nanoseconds(interval),
    timeout: nanoseconds(timeout),
    "start-period": nanoseconds(startPeriod),
    "start-interval": nanoseconds(startInterval),
    retries,
  };
}

function nanoseconds(duration: number | undefined): string | undefined {
  return duration === undefined ? undefined : `${String(duration)}ns`;
}

function restOf(
  instruction: Exclude<Instruction, { readonly keyword: "ONBUILD" }>,
  escape: EscapeCharacter,
): string {
  switch (instruction.keyword) {
    case "FROM": {
      const { image, stageName } = instruction;
      return formatRest(stageName === undefined ? image : `${image} AS ${stageName}`);
    }
    case "ARG":
      return formatRest(keepEnd(instruction.args.map(formatArg).join(" "), escape));
    case "ENV":
    case "LABEL":
      return formatRest(keepEnd(formatPairs(instruction, escape), escape));
    case "RUN":
    case "CMD":
    case "ENTRYPOINT":
      return formatRest(formatCommand(instruction.command));
    case "HEALTHCHECK":
      return instruction.command === undefined
        ? "NONE"
        : `CMD ${formatCommand(instruction.command)}`;
    case "COPY":
    case "ADD":
      return formatPaths(instruction);
    case "VOLUME":
      return formatList(instruction.paths);
    case "EXPOSE":
      return formatRest(orderPorts(instruction.ports).join(" "));
    case "SHELL":
      return JSON.stringify(instruction.argv);
    case "WORKDIR":
      return formatRest(instruction.path);
    case "USER":
      return formatRest(instruction.user);
    case "STOPSIGNAL":
      return formatRest(instruction.signal);
    case "MAINTAINER":
      return formatRest(instruction.author);
  }
}

function formatArg(arg: { readonly name: string; readonly defaultValue?: string }): string {
  return arg.defaultValue === undefined ? arg.name : `${arg.name}=${arg.defaultValue}`;
}

function formatPairs(
  { pairs, legacy }: EnvInstruction | LabelInstruction,
  escape: EscapeCharacter,
): string {
  const separate = (key: string): string => {
    if (!legacy) return "=";
    // The first of two blanks is what such a name escapes.
    return key.endsWith(escape) ? "  " : " ";
  };
  return pairs.map(({ key, value }) => `${key}${separate(key)}${value}`).join(" ");
}

/**
 * Words may end with a blank only behind a quote that nobody closed. An escape character at the end is dropped and keeps
 * the blank from being trimmed; a form feed keeps it from continuing the line.
 */
function keepEnd(text: string, escape: EscapeCharacter): string {
  return trimEnd(text) === text ? text : `${text}${escape}\f`;
}

function formatCommand(command: CommandForm): string {
  return command.form === "exec" ? JSON.stringify(command.argv) : command.command;
}

/**
 * Any order means the same. Unicode's blanks belong to a port, but at either end of the line they would be trimmed: such
 * ports go to the middle.
 */
function orderPorts(ports: readonly string[]): readonly string[] {
  const last = ports.findLastIndex((port) => trimEnd(port) === port);
  const others = ports.filter((_, index) => index !== last);
  const first = others.findIndex((port) => trimStart(port) === port);
  const middle = others.filter((_, index) => index !== first);
  return [...others.slice(first, first + 1), ...middle, ...ports.slice(last, last + 1)];
}

/** Markers come first, where no quote of a path reaches them. */
function formatPaths({ sources, heredocs, destination }: CopyInstruction | AddInstruction): string {
  if (heredocs.length === 0) return formatList([...sources, destination]);
  return formatRest([...heredocs.map(formatMarker), ...sources, destination].join(" "));
}

/**
 * The trigger is kept to the letter, blanks at its end included. One that ends with an escape character can only stand at
 * the end of a file, as it did where it was read.
 */
function formatOnbuild(trigger: string, escape: EscapeCharacter): string {
  const text = `ONBUILD ${trigger}`;
  const [first = "", ...bodies] = text.split("\n");
  if (isContinued(first, escape)) return `${text}${escape}\n`;
  return [breakLine(first, escape).slice(0, -1), ...bodies, ""].join("\n");
}

/** Bodies for whatever the line announces, in its order; one that the instruction does not know is empty. */
function formatBodies(text: string, source: BodySource): string {
  const names = markersOf(text, source.escape).map(({ marker }) => marker.name);
  const bodies = names.map((name, index) => {
    const isLast = names.lastIndexOf(name) === index;
    return `${bodyOf(source, { name, index, isLast })}${name}\n`;
  });
  return bodies.join("");
}

function markersOf(text: string, escape: EscapeCharacter): ReturnType<typeof findHeredocMarkers> {
  return mayHaveHeredocs(text, escape) ? findHeredocMarkers(text) : [];
}

interface BodySource {
  readonly keyword: Instruction["keyword"];
  readonly heredocs: readonly Heredoc[];
  readonly escape: EscapeCharacter;
}

/** RUN has a body for every marker; for COPY and ADD the last body of a name is that of all its markers. */
function bodyOf(
  { keyword, heredocs }: BodySource,
  marker: { readonly name: string; readonly index: number; readonly isLast: boolean },
): string {
  if (keyword === "RUN") return heredocs[marker.index]?.content ?? "";
  const named = heredocs.filter(({ name }) => name === marker.name);
  // The one with its tabs says more than one that has lost them.
  const told = named.find(({ chomp }) => !chomp) ?? named[0];
  return marker.isLast ? (told?.content ?? "") : "";
}

/** The text on as many lines as it needs, so that it reads as one line again. */
function breakLine(text: string, escape: EscapeCharacter): string {
  const lines: string[] = [];
  let start = 0;
  while (Buffer.byteLength(text.slice(start)) > longestLine) {
    const end = findBreak(text, { start, escape });
    if (end === undefined) break;
    lines.push(`${text.slice(start, end)}${escape}\n`);
    start = end;
  }
  const last = text.slice(start);
  // A form feed is white space for everything but a continuation.
  return `${lines.join("")}${last}${isContinued(last, escape) ? "\f" : ""}\n`;
}

/** Where a line can end and the next one begin: neither side may mean something by its place. */
function findBreak(
  text: string,
  { start, escape }: { readonly start: number; readonly escape: EscapeCharacter },
): number | undefined {
  for (let end = start + longestLine / 4; end > start; end--) {
    const next = text.charAt(end);
    const isFree = next !== "#" && next.trim() !== "" && !/[\udc00-\udfff]/.test(next);
    if (isFree && text.charAt(end - 1) !== escape) return end;
  }
  return undefined;
}

function isContinued(line: string, escape: EscapeCharacter): boolean {
  const end = trimEndOf(line, " \t");
  return end.endsWith(escape) && end.at(-2) !== escape;
}
