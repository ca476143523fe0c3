import { usageError } from "../errors.ts";

const units: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 24 * 3_600_000,
  w: 7 * 24 * 3_600_000,
};

/** Milliseconds of `24h`, `2h30m`, `7d` or `0`. @throws USAGE; `flag` says where the text stood */
export function parseAge(text: string, flag: string): number {
  if (text === "0") return 0;
  if (!/^(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+$/.test(text)) {
    throw usageError(`invalid duration: ${flag} ${text}`, "write for example 24h, 2h30m or 7d");
  }
  let age = 0;
  for (const [, amount, unit = ""] of text.matchAll(/([\d.]+)([a-z]+)/g)) {
    age += Number(amount) * (units[unit] ?? 0);
  }
  return age;
}
