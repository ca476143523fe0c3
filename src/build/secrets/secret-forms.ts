/** How a secret may be written. */
export type SecretForm = "plain" | "base64" | "hex" | "url";

/** Bytes to look for. */
export interface Pattern {
  readonly bytes: Buffer;
  readonly form: SecretForm;
  /** Whether line breaks and blanks may stand anywhere in it, as encoders put them. */
  readonly isBroken: boolean;
}

/** A value in all the forms in which it is looked for. Forms that do not change it are left out. */
export function formsOf(value: Buffer): readonly Pattern[] {
  const texts = new Map<string, Pattern>();
  const add = (text: string, form: SecretForm): void => {
    if (texts.has(text)) return;
    const isBroken = form === "base64" || form === "hex";
    texts.set(text, { bytes: Buffer.from(text, "latin1"), form, isBroken });
  };
  add(value.toString("latin1"), "plain");
  for (const text of base64Texts(value)) add(text, "base64");
  const hex = value.toString("hex");
  for (const text of [hex, hex.toUpperCase()]) add(text, "hex");
  for (const text of urlTexts(value)) add(text, "url");
  return [...texts.values()];
}

/**
 * What must stand in the base64 of any text that has the value in it. A character tells six bits; those at both ends
 * depend on the neighbours, and which those are on the place modulo three.
 */
function base64Texts(value: Buffer): readonly string[] {
  return [0, 1, 2].flatMap((before) => {
    const encoded = Buffer.concat([Buffer.alloc(before), value]).toString("base64");
    const first = Math.ceil((before * 8) / 6);
    const end = Math.floor(((before + value.length) * 8) / 6);
    const text = encoded.slice(first, end);
    return [text, text.replaceAll("+", "-").replaceAll("/", "_")];
  });
}

/** Encoders agree on letters and digits alone. */
const leftAlone: readonly RegExp[] = [
  // RFC 3986: jq, curl, most libraries.
  /[A-Za-z0-9\-._~]/,
  // encodeURIComponent.
  /[A-Za-z0-9\-._~!'()*]/,
  // Python's quote.
  /[A-Za-z0-9\-._~/]/,
  // Forms of web pages.
  /[A-Za-z0-9\-._*]/,
  // Every byte.
  /(?!)/,
];

let tables: readonly (readonly string[])[] | undefined;

function urlTexts(value: Buffer): readonly string[] {
  tables ??= leftAlone.flatMap((kept) =>
    ["upper", "lower"].flatMap((digits) => {
      const table = Array.from({ length: 256 }, (_, byte) => encodeByte(byte, { kept, digits }));
      return [table, table.with(0x20, "+")];
    }),
  );
  return tables.map((table) => Array.from(value, (byte) => table[byte] ?? "").join(""));
}

function encodeByte(
  byte: number,
  { kept, digits }: { readonly kept: RegExp; readonly digits: string },
): string {
  const character = String.fromCharCode(byte);
  if (kept.test(character)) return character;
  const hex = byte.toString(16).padStart(2, "0");
  return `%${digits === "upper" ? hex.toUpperCase() : hex}`;
}
