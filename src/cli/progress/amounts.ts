/** `3.4s`, from milliseconds; never negative, since clocks may be set back. */
export function formatSeconds(milliseconds: number, digits = 1): string {
  return (Math.max(milliseconds, 0) / 1000).toFixed(digits);
}

/** `12.3MB`: decimal units, as registries and docker count. */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? String(value) : value.toFixed(2)}${units[unit] ?? ""}`;
}

/** ` 1.00MB / 3.40MB`, ` 12 / 40 files`; empty when nothing was counted yet. */
export function formatAmount(amount: {
  readonly current: number;
  readonly total?: number | undefined;
  readonly unit: "bytes" | "files";
}): string {
  const { current, total, unit } = amount;
  const number = unit === "bytes" ? formatBytes : String;
  const suffix = unit === "files" ? " files" : "";
  if (total !== undefined && total > 0) return ` ${number(current)} / ${number(total)}${suffix}`;
  return current > 0 ? ` ${number(current)}${suffix}` : "";
}
