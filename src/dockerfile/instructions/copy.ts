import { chompHeredoc, parseHeredocMarker, type HeredocMarker } from "../heredoc.ts";
import { readJsonArray } from "../json-form.ts";
import { readFlags } from "../read-flags.ts";
import { instructionError, keywordOf, syntaxOf, type RawInstruction } from "../raw-instruction.ts";
import { splitList } from "../split-words.ts";
import type { AddInstruction, CopyInstruction, Heredoc } from "../types.ts";
import { mixedArray } from "./command-form.ts";

/**
 * `COPY [flags] source… destination`.
 * @throws DOCKERFILE_ARGUMENTS, DOCKERFILE_HEREDOC, DOCKERFILE_JSON, DOCKERFILE_FLAG_UNKNOWN and its kin
 */
export function parseCopy(raw: RawInstruction): CopyInstruction {
  const words = readWords(raw);
  const flags = readFlags(raw, {
    from: "text",
    chown: "text",
    chmod: "text",
    link: "boolean",
    parents: "boolean",
    exclude: "list",
  });
  return {
    keyword: "COPY",
    ...syntaxOf(raw),
    ...readPaths(raw, words),
    ...optionalTexts({
      from: flags.text("from"),
      chown: flags.text("chown"),
      chmod: flags.text("chmod"),
    }),
    link: flags.boolean("link") ?? false,
    parents: flags.boolean("parents") ?? false,
    exclude: flags.list("exclude"),
  };
}

/**
 * `ADD [flags] source… destination`; a source may be a URL.
 * @throws DOCKERFILE_ARGUMENTS, DOCKERFILE_HEREDOC, DOCKERFILE_JSON, DOCKERFILE_FLAG_UNKNOWN and its kin
 */
export function parseAdd(raw: RawInstruction): AddInstruction {
  const words = readWords(raw);
  const flags = readFlags(raw, {
    chown: "text",
    chmod: "text",
    link: "boolean",
    "keep-git-dir": "boolean",
    checksum: "text",
    unpack: "boolean",
    exclude: "list",
  });
  const unpack = flags.boolean("unpack");
  return {
    keyword: "ADD",
    ...syntaxOf(raw),
    ...readPaths(raw, words),
    ...optionalTexts({
      chown: flags.text("chown"),
      chmod: flags.text("chmod"),
      checksum: flags.text("checksum"),
    }),
    link: flags.boolean("link") ?? false,
    keepGitDir: flags.boolean("keep-git-dir") ?? false,
    ...(unpack === undefined ? {} : { unpack }),
    exclude: flags.list("exclude"),
  };
}

function readWords(raw: RawInstruction): readonly string[] {
  const json = readJsonArray(raw.rest);
  if (json.kind === "mixed") throw mixedArray(raw);
  const words = json.kind === "array" ? json.items : splitList(raw.rest);
  if (words.length >= 2) return words;
  const keyword = keywordOf(raw);
  throw instructionError(
    raw,
    "DOCKERFILE_ARGUMENTS",
    `${keyword} requires at least two arguments, but only one was provided. Destination could not be determined`,
    { hint: `for example: ${keyword} ${words[0] ?? "."} /app/` },
  );
}

/**
 * Heredoc words leave the sources and keep their order among themselves. Bodies belong to names: two words of one name
 * mean the last body twice, and a body whose marker is no word of its own (`<< EOF`) belongs to none.
 */
function readPaths(
  raw: RawInstruction,
  words: readonly string[],
): { sources: readonly string[]; destination: string; heredocs: readonly Heredoc[] } {
  const destination = words.at(-1) ?? "";
  // Without bodies no word is a heredoc: JSON form, or quoted.
  if (raw.heredocs.length === 0) return { sources: words.slice(0, -1), destination, heredocs: [] };
  if (readMarker(destination) !== undefined) {
    throw instructionError(
      raw,
      "DOCKERFILE_HEREDOC",
      `${keywordOf(raw)} cannot accept a heredoc as a destination`,
      {
        hint: `name the file behind it: ${keywordOf(raw)} <<EOF /path/to/file`,
        part: { kind: "text", text: destination },
      },
    );
  }
  const bodies = new Map(raw.heredocs.map((heredoc) => [heredoc.name, heredoc.content]));
  const sources: string[] = [];
  const heredocs: Heredoc[] = [];
  for (const word of words.slice(0, -1)) {
    const marker = readMarker(word);
    const content = marker === undefined ? undefined : bodies.get(marker.name);
    if (marker === undefined || content === undefined) {
      // Inside of quotes that only the whole line shows, `<<` announces nothing.
      sources.push(word);
      continue;
    }
    const heredoc = { ...marker, content };
    heredocs.push({ ...heredoc, content: chompHeredoc(heredoc) });
  }
  return { sources, destination, heredocs };
}

/** A word with half a quote is an ordinary one: quotes do not group words here. */
function readMarker(word: string): HeredocMarker | undefined {
  try {
    return parseHeredocMarker(word);
  } catch {
    return undefined;
  }
}

/** Only the flags that have a value: an empty one counts as absent. */
function optionalTexts<Name extends string>(
  values: Readonly<Record<Name, string | undefined>>,
): { [Key in Name]?: string } {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== "");
  return Object.fromEntries(given) as { [Key in Name]?: string };
}
