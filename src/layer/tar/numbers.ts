const nanosecondsPerSecond = 1_000_000_000n;

/**
 * A numeric header field: octal text between blanks and NULs, or base-256 (GNU, star) when its first bit is set.
 * undefined when it is neither.
 */
export function parseNumber(field: Buffer): bigint | undefined {
  const first = field[0] ?? 0;
  return (first & 0x80) === 0 ? parseOctal(field) : parseBase256(field);
}

function parseOctal(field: Buffer): bigint | undefined {
  let value = 0;
  let digits = 0;
  let index = 0;
  while (index < field.length && isBlank(field[index])) index++;
  for (; index < field.length && !isBlank(field[index]); index++, digits++) {
    const digit = (field[index] ?? 0) - 0x30;
    if (digit < 0 || digit > 7) return undefined;
    value = value * 8 + digit;
  }
  // At most 12 digits, 36 bits: exact as a number.
  return digits <= 12 ? BigInt(value) : undefined;
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0;
}

/** Big-endian two's complement; the first bit is the mark and does not count. */
function parseBase256(field: Buffer): bigint {
  const isNegative = ((field[0] ?? 0) & 0x40) !== 0;
  let value = BigInt((field[0] ?? 0) & 0x3f);
  for (const byte of field.subarray(1)) value = (value << 8n) | BigInt(byte);
  return isNegative ? value - (1n << BigInt(field.length * 8 - 2)) : value;
}

/** PAX time ("-1.5", "1700000000.123456789") in nanoseconds; finer digits are cut off. undefined when malformed. */
export function parsePaxTime(text: string): bigint | undefined {
  const match = /^(-?)(\d{1,18})(?:\.(\d*))?$/.exec(text);
  if (match === null) return undefined;
  const [, sign, seconds = "0", fraction = ""] = match;
  const time = BigInt(seconds) * nanosecondsPerSecond + BigInt(fraction.slice(0, 9).padEnd(9, "0"));
  return sign === "-" ? -time : time;
}

/** The shortest PAX time: no fraction for whole seconds, no zeros at the end. */
export function formatPaxTime(time: bigint): string {
  const absolute = time < 0n ? -time : time;
  const fraction = String(absolute % nanosecondsPerSecond)
    .padStart(9, "0")
    .replace(/0+$/, "");
  const sign = time < 0n ? "-" : "";
  const seconds = String(absolute / nanosecondsPerSecond);
  return fraction === "" ? `${sign}${seconds}` : `${sign}${seconds}.${fraction}`;
}

/** Whole seconds, rounded towards the past, and whether that lost something. */
export function wholeSeconds(time: bigint): { readonly seconds: bigint; readonly exact: boolean } {
  const rest = time % nanosecondsPerSecond;
  const seconds = (time - rest) / nanosecondsPerSecond - (rest < 0n ? 1n : 0n);
  return { seconds, exact: rest === 0n };
}

export function secondsToTime(seconds: bigint): bigint {
  return seconds * nanosecondsPerSecond;
}
