import type { Random } from "./random.ts";
import { tokens } from "./tokens.ts";

/** A Dockerfile that follows the grammar most of the time. */
export function generateDockerfile(random: Random): string {
  const lines = [
    ...(random.once(4) ? [random.pick(directives)] : []),
    ...repeat(random, 2, () => `ARG ${pairs(random)}`),
    `FROM ${flags(random, ["platform"])}${word(random)}${random.once(2) ? " AS base" : ""}`,
    ...repeat(random, 8, () => instruction(random)),
  ];
  return lines.map((line) => decorate(line, random)).join("\n") + (random.once(3) ? "" : "\n");
}

const directives = ["# escape=`", "# syntax=docker/dockerfile:1", "#check = skip=all", "#!/bin/x"];

/** Comments, blank lines, continuations and indentation, which change nothing or nearly so. */
function decorate(line: string, random: Random): string {
  if (random.once(8)) return `# ${word(random)}\n${line}`;
  if (random.once(10)) return `  ${line}`;
  if (random.once(6)) return line.replace(/ /, random.pick([" \\\n", " \\\n#x\n", "\t", " `\n"]));
  return random.once(12) ? `${line}\n` : line;
}

function instruction(random: Random): string {
  const keyword = random.pick(keywords);
  const args = argumentsOf[keyword](random);
  return `${random.once(10) ? keyword.toLowerCase() : keyword} ${args}`;
}

type Keyword = keyof typeof argumentsOf;

const argumentsOf = {
  RUN: (random: Random) =>
    flags(random, ["mount", "network", "security"]) + random.pick([command, heredocs])(random),
  COPY: (random: Random) =>
    flags(random, ["from", "chown", "chmod", "exclude", "link", "parents"]) +
    random.pick([list, json, heredocs])(random),
  ADD: (random: Random) => flags(random, ["checksum", "unpack", "keep-git-dir"]) + list(random),
  ENV: (random: Random) => random.pick([pairs, legacyPair])(random),
  LABEL: (random: Random) => random.pick([pairs, legacyPair])(random),
  ARG: (random: Random) => random.pick([pairs, word])(random),
  CMD: command,
  ENTRYPOINT: command,
  SHELL: json,
  HEALTHCHECK: (random: Random) =>
    random.once(4) ? "NONE" : `${flags(random, ["interval", "retries"])}CMD ${command(random)}`,
  VOLUME: (random: Random) => random.pick([list, json])(random),
  EXPOSE: list,
  USER: text,
  WORKDIR: text,
  STOPSIGNAL: word,
  MAINTAINER: text,
  FROM: (random: Random) => `${word(random)} AS ${random.pick(["a", "b.c", "D-1"])}`,
  ONBUILD: (random: Random): string => instruction(random),
};
const keywords = Object.keys(argumentsOf) as Keyword[];

const flagValues = ["", "a", "base", "type=cache,target=/x", "host", "'a b'", '"c"', "\\d", "1s"];
const booleans = new Set(["link", "parents", "unpack", "keep-git-dir"]);

function flags(random: Random, names: readonly string[]): string {
  if (random.once(2)) return "";
  const name = random.once(20) ? word(random) : random.pick(names);
  if (booleans.has(name)) return `--${name}${random.pick(["", "=true", "=FALSE"])} `;
  const value = name === "network" ? random.pick(["host", "none"]) : random.pick(flagValues);
  return `--${name}=${value} ${random.once(4) ? flags(random, names) : ""}`;
}

function command(random: Random): string {
  return random.pick([json, text])(random);
}

function json(random: Random): string {
  const items = repeat(random, 3, () => JSON.stringify(word(random)));
  return `[${items.join(random.pick([",", ", "]))}${random.once(30) ? ", 1" : ""}]`;
}

function heredocs(random: Random): string {
  const names = repeat(random, 2, () => random.pick(["EOF", "A", "b.txt"]));
  const markers = names.map((name) => random.pick([`<<${name}`, `<<-${name}`, `<<'${name}'`]));
  const bodies = names.map((name) => `${text(random)}\n\t${word(random)}\n${name}`);
  return [[random.pick(["cat ", ""]) + markers.join(" "), word(random)].join(" "), ...bodies].join(
    "\n",
  );
}

function pairs(random: Random): string {
  return [pair(random), ...repeat(random, 2, () => pair(random))].join(" ");
}

function pair(random: Random): string {
  return `${random.pick(["A", "b", "C_1"])}=${random.pick([word, quoted])(random)}`;
}

function legacyPair(random: Random): string {
  return `${random.pick(["A", "b"])} ${text(random)}`;
}

function quoted(random: Random): string {
  const quote = random.pick(["'", '"']);
  return quote + text(random) + quote;
}

function list(random: Random): string {
  return [word(random), ...repeat(random, 3, () => word(random))].join(" ");
}

function text(random: Random): string {
  return [word(random), ...repeat(random, 4, () => word(random))].join(random.pick([" ", "  "]));
}

function word(random: Random): string {
  const plain = random.pick(["a", "/b/c", "x=y", "80", "v1.0", "--d", "http://e/f", "scratch"]);
  return random.once(3) ? plain + random.pick(tokens).trim() : plain;
}

function repeat<Item>(random: Random, most: number, make: () => Item): Item[] {
  return Array.from({ length: random.below(most + 1) }, make);
}
