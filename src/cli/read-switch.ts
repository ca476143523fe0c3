import { usageError } from "../api/index.ts";

/** Go's spellings, which docker and podman take. */
const spellings = new Map([
  ...["1", "t", "T", "true", "True", "TRUE"].map((word) => [word, true] as const),
  ...["0", "f", "F", "false", "False", "FALSE"].map((word) => [word, false] as const),
]);

/**
 * Reads the value of `--flag [bool]`. The word behind the flag belongs to it whatever it is, as commander sees it: a name
 * that stands there is refused rather than lost. @throws USAGE
 */
export function readSwitch(flag: string): (word: string) => boolean {
  return (word) => {
    const value = spellings.get(word);
    if (value !== undefined) return value;
    throw usageError(
      `read ${flag} ${word}: neither true nor false`,
      `write ${flag}=true or ${flag}=false`,
    );
  };
}
