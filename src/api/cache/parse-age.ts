import { parseSpan } from "../../core/index.ts";
import { usageError } from "../errors.ts";

/** Milliseconds of `24h`, `2h30m`, `7d` or `0`. @throws USAGE; `flag` says where the text stood */
export function parseAge(text: string, flag: string): number {
  const age = text === "0" ? 0 : parseSpan(text);
  if (age !== undefined) return age;
  throw usageError(`invalid duration: ${flag} ${text}`, "write for example 24h, 2h30m or 7d");
}
