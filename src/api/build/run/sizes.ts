import { parseSize } from "../../../core/index.ts";
import { usageError } from "../../errors.ts";

/** Bytes of a flag's value, as `parseSize` reads it. @throws USAGE */
export function readSize(text: string, flag: string): number {
  const size = parseSize(text);
  if (size !== undefined) return size;
  throw usageError(`invalid size: ${flag} ${text}`, "write for example 512m");
}
