import { usageError } from "../../errors.ts";

/** Bytes of `128m`, `1.5g`, `4096` or `2KiB`: every unit counts in powers of 1024. @throws USAGE */
export function readSize(text: string, flag: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp]?)(?:i?b)?$/i.exec(text);
  if (match === null) throw usageError(`invalid size: ${flag} ${text}`, "write for example 512m");
  const power = " kmgtp".indexOf((match[2] ?? "").toLowerCase() || " ");
  return Math.floor(Number(match[1]) * 1024 ** power);
}
