/** One escape sequence, or a control character. The first group is set for colours and the like (SGR). */
const controls =
  /(\u001b\[[\d;:]*m)|\u001b\[[0-?]*[ -/]*[@-~]?|\u001b[PX^_\]][^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c|$)|\u001b[ -/]*[0-~]?|[\0-\u001f\u007f-\u009f]/g;

const tabWidth = 8;

/**
 * A line of a stranger's output as it may be written into our display: nothing in it moves the cursor, rings, sets a
 * title or asks the terminal something. Colours stay when `color`. What a carriage return overwrote is gone.
 */
export function sanitiseLine(line: string, options: { readonly color: boolean }): string {
  const shown = line.replace(/\r+$/, "").split("\r").at(-1);
  const clean = expandTabs(shown ?? "").replaceAll(
    controls,
    (_sequence, sgr: string | undefined) => (sgr !== undefined && options.color ? sgr : ""),
  );
  return clean.includes("\u001b[") ? `${clean}\u001b[0m` : clean;
}

function expandTabs(line: string): string {
  if (!line.includes("\t")) return line;
  const [first = "", ...rest] = line.split("\t");
  return rest.reduce((text, part) => {
    const gap = tabWidth - (displayWidth(text) % tabWidth);
    return text + " ".repeat(gap) + part;
  }, first);
}

/** Columns that the text takes on a terminal; escape sequences take none. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const character of text.replaceAll(controls, "")) width += characterWidth(character);
  return width;
}

/** At most `columns` columns of the text, an ellipsis in place of what is cut; colours end where the text does. */
export function truncate(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text;
  let result = "";
  let width = 0;
  let index = 0;
  for (const match of text.matchAll(controls)) {
    if (!append(text.slice(index, match.index))) return end();
    result += match[0];
    index = match.index + match[0].length;
  }
  append(text.slice(index));
  return end();

  function append(part: string): boolean {
    for (const character of part) {
      const next = width + characterWidth(character);
      if (next > columns - 1) return false;
      result += character;
      width = next;
    }
    return true;
  }
  function end(): string {
    const reset = result.includes("\u001b[") ? "\u001b[0m" : "";
    return columns < 1 ? "" : `${result}…${reset}`;
  }
}

const zeroWidth = /^[\p{Mark}\p{Default_Ignorable_Code_Point}]$/u;
const wide =
  /^[\p{Emoji_Presentation}\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]$/u;

function characterWidth(character: string): number {
  if (character < "\u0300") return 1;
  if (zeroWidth.test(character)) return 0;
  return wide.test(character) ? 2 : 1;
}
