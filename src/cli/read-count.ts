import { usageError } from "../api/index.ts";

/** Reads the value of a flag that takes a whole number, for commander. @throws USAGE */
export function countOf(flag: string, what: string): (text: string) => number {
  return (text) => {
    const count = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(count)) return count;
    throw usageError(`read ${flag} ${text}`, `give a number of ${what}`);
  };
}
