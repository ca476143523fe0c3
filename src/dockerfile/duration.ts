const unitsInNanoseconds: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** Nanoseconds of `1m30s` or `1.5h`; undefined when the text is no duration, or longer than the 292 years of Go's. */
export function parseDuration(text: string): number | undefined {
  const [, sign = "", parts = ""] = /^([+-]?)(.*)$/s.exec(text) ?? [];
  if (parts === "0") return 0;
  if (!/^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/.test(parts)) return undefined;
  let total = 0;
  for (const [, amount = "", unit = ""] of parts.matchAll(/([\d.]+)([^\d.]+)/g)) {
    total += Number(amount) * (unitsInNanoseconds[unit] ?? 0);
  }
  if (total >= 2 ** 63) return undefined;
  return Math.round(sign === "-" ? -total : total);
}
