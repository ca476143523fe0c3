/**
 * Columns padded to their widest cell, three spaces apart, as docker prints its tables. Texts may come from images of
 * strangers: one row is one line, and nothing in it controls the terminal.
 */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const all = [header, ...rows.map((row) => row.map(plainText))];
  const widths = header.map((_, column) =>
    Math.max(...all.map((row) => (row[column] ?? "").length)),
  );
  const lines = all.map((row) =>
    row
      .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join("   ")
      .trimEnd(),
  );
  return `${lines.join("\n")}\n`;
}

function plainText(cell: string): string {
  return cell.replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ");
}

const units = ["B", "kB", "MB", "GB", "TB"];

/** Bytes as docker shows them: powers of 1000, three significant digits (`1.23MB`). */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit === 0 ? String(value) : String(Number(value.toPrecision(3)));
  return `${digits}${units[unit] ?? ""}`;
}

/** `5 minutes ago`, in the words that docker uses. `then` is an ISO time. */
export function formatAge(then: string | undefined, now: Date): string {
  if (then === undefined || Number.isNaN(Date.parse(then))) return "N/A";
  const seconds = Math.max(0, Math.floor((now.getTime() - Date.parse(then)) / 1000));
  return `${describeSpan(seconds)} ago`;
}

function describeSpan(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  const hours = Math.round(minutes / 60);
  if (seconds < 1) return "Less than a second";
  if (seconds === 1) return "1 second";
  if (seconds < 60) return `${seconds} seconds`;
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  const days = Math.floor(hours / 24);
  if (days < 14) return `${days} days`;
  if (days < 60) return `${Math.floor(days / 7)} weeks`;
  if (days < 730) return `${Math.floor(days / 30)} months`;
  return `${Math.floor(days / 365)} years`;
}

/** `1 file`, `2 files`. */
export function formatCount(number: number, what: string): string {
  return `${String(number)} ${what}${number === 1 ? "" : "s"}`;
}
