import { trimSpace } from "../../characters.ts";
import { splitList } from "../../split-words.ts";
import type { FromInstruction } from "../../types.ts";

/** The words of `FROM image AS name` whose letter case the parsed instruction no longer shows. */
export function fromWords({ original, stageName }: FromInstruction): {
  readonly from: string;
  readonly as: string | undefined;
  readonly stageName: string | undefined;
} {
  const words = splitList(trimSpace(original));
  const [as, name] = stageName === undefined ? [] : words.slice(-2);
  return { from: words[0] ?? "", as, stageName: name };
}

/** Finds the name behind AS in the text of a FROM. */
export function stageNameOf({ stageName }: FromInstruction): RegExp {
  return new RegExp(`(?<=\\sAS\\s+)${(stageName ?? "").replaceAll(".", "\\.")}`, "i");
}

/** The keyword of any instruction as it is written. */
export function writtenKeyword({ original }: { readonly original: string }): string {
  return splitList(trimSpace(original))[0] ?? "";
}
