/** The fields of one line of comma-separated values; a quoted field may hold commas, and `""` for a quote. */
export function splitCsv(text: string): string[] {
  const fields: string[] = [];
  const pattern = /(?:"((?:[^"]|"")*)"|([^,]*))(,|$)/y;
  while (pattern.lastIndex <= text.length) {
    const match = pattern.exec(text);
    // A quote that does not end: the text as it is says best what is wrong with it.
    if (match === null) return [text];
    const [, quoted, plain = "", comma] = match;
    fields.push(quoted?.replaceAll('""', '"') ?? plain);
    if (comma === "") break;
  }
  return fields;
}
