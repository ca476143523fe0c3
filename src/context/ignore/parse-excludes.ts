import { byteString, textOf } from "../byte-strings.ts";
import { IgnoreRules } from "./ignore-rules.ts";
import { parseRule } from "./parse-ignore-file.ts";

/** Which entries of a copied directory `--exclude` leaves out. */
export interface Excludes {
  /** `path` is relative to the source directory. */
  isExcluded(path: Buffer): boolean;
  /** Whether nothing below the excluded directory `path` can be wanted. */
  canSkipDirectory(path: Buffer): boolean;
}

/**
 * Compiles the patterns of `COPY --exclude`, which speak the language of ignore files.
 * @throws CONTEXT_PATTERN_INVALID, CONTEXT_IGNORE_INVALID
 */
export function parseExcludes(patterns: readonly string[]): Excludes {
  const rules = new IgnoreRules(
    patterns.flatMap((pattern, index) => {
      const rule = parseRule(pattern, { file: "--exclude", line: index + 1 });
      return rule === undefined ? [] : [rule];
    }),
  );
  const text = (path: Buffer): string => textOf(byteString(path));
  return {
    isExcluded: (path) => !rules.isEmpty && rules.match(text(path)) !== undefined,
    canSkipDirectory: (path) => rules.canSkipDirectory(text(path)),
  };
}
