const units: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** Milliseconds of `30d`, `12h`, `1h30m` or `2w`; undefined for what is no span of time. */
export function parseSpan(text: string): number | undefined {
  if (!/^(?:\d+(?:\.\d+)?[smhdw])+$/i.test(text)) return undefined;
  let total = 0;
  for (const [, amount = "", unit = ""] of text.matchAll(/([\d.]+)([a-z])/gi)) {
    total += Number(amount) * (units[unit.toLowerCase()] ?? 0);
  }
  return Number.isSafeInteger(Math.round(total)) ? Math.round(total) : undefined;
}
