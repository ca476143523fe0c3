import { processWord } from "./process-word.ts";
import { trimLineEnd } from "./lines.ts";
import type { Heredoc } from "./types.ts";

/** What `<<NAME` says before its body has been read. */
export type HeredocMarker = Omit<Heredoc, "content">;

const markerPattern = /^(\d*)<<(-?)[\t\n\f\r ]*([^<]*)$/;
const maxFileDescriptor = 2 ** 53;
const unset = (): undefined => undefined;

/**
 * The heredoc that a word announces; undefined when it is an ordinary word. Quotes in the delimiter (not escaped
 * ones) switch expansion off.
 * @throws DOCKERFILE_QUOTE, DOCKERFILE_SUBSTITUTION for a delimiter that cannot be read
 */
export function parseHeredocMarker(word: string): HeredocMarker | undefined {
  const match = markerPattern.exec(word);
  const delimiter = match?.[3];
  if (match === null || delimiter === undefined || delimiter === "") return undefined;
  const [name, ...others] = processWord(delimiter, { lookup: unset, keepUnset: true }).words;
  if (name === undefined || others.length > 0) return undefined;
  const [raw = ""] = processWord(delimiter, {
    lookup: unset,
    keepUnset: true,
    rawQuotes: true,
  }).words;
  return {
    name,
    expand: countQuotes(name) === countQuotes(raw),
    chomp: match[2] === "-",
    ...(match[1] === "" ? {} : { fileDescriptor: Math.min(Number(match[1]), maxFileDescriptor) }),
  };
}

/**
 * The heredocs that a whole instruction announces, in order, each with its word as written.
 * @throws DOCKERFILE_QUOTE, DOCKERFILE_SUBSTITUTION for a delimiter that cannot be read
 */
export function findHeredocMarkers(
  text: string,
): readonly { readonly marker: HeredocMarker; readonly word: string }[] {
  if (!text.includes("<<")) return [];
  return splitShellWords(text).flatMap((word) => {
    const marker = parseHeredocMarker(word);
    return marker === undefined ? [] : [{ marker, word }];
  });
}

/** Words with their quotes and escapes; none when the text is not a complete shell line (the shell will tell). */
function splitShellWords(text: string): readonly string[] {
  try {
    return processWord(text, { lookup: unset, keepUnset: true, rawQuotes: true, rawEscapes: true })
      .words;
  } catch {
    return [];
  }
}

/** Reads one body from `first` on; undefined when the end of the file comes before the terminator. */
export function readHeredocBody(
  lines: readonly string[],
  first: number,
  marker: HeredocMarker,
): { readonly heredoc: Heredoc; readonly next: number } | undefined {
  for (let index = first; index < lines.length; index++) {
    const line = trimLineEnd(lines[index] ?? "");
    if ((marker.chomp ? line.replace(/^\t+/, "") : line) !== marker.name) continue;
    const content = lines.slice(first, index).map((body) => `${body}\n`);
    return { heredoc: { ...marker, content: content.join("") }, next: index + 1 };
  }
  return undefined;
}

/** The body of a heredoc as its marker wants it: behind `<<-` without the tabs at the beginning of every line. */
export function chompHeredoc({ content, chomp }: Heredoc): string {
  return chomp ? content.replace(/(?<![^\n])\t+/g, "") : content;
}

function countQuotes(text: string): number {
  return text.replace(/[^'"]/g, "").length;
}
