import { parseGitReference, type GitReference, type SourceLocation } from "../../core/index.ts";
import type { AddInstruction } from "../../dockerfile/index.ts";
import { planErrorAt } from "../errors.ts";
import { locateFailure } from "../locate-failure.ts";
import type { GitOp } from "../types.ts";

/**
 * The repository that a source word of ADD or COPY names; undefined for anything else.
 * @throws GIT_REFERENCE_INVALID
 */
export function readGitSource(word: string, location: SourceLocation): GitReference | undefined {
  return locateFailure(location, () => parseGitReference(word));
}

/**
 * ADD of a repository: what its flags say is said about the repository, and must not contradict the URL.
 * @throws PLAN_CHECKSUM_INVALID, PLAN_SOURCE_INVALID
 */
export function toGitOp(
  reference: GitReference,
  add: { readonly instruction: AddInstruction; readonly expand: (word: string) => string },
): GitOp {
  const { instruction, expand } = add;
  const { location } = instruction;
  if (instruction.keepGitDir && reference.keepGitDir === false) {
    throw planErrorAt(
      location,
      "PLAN_SOURCE_INVALID",
      `add ${reference.remote}: inconsistent keep-git-dir configuration`,
      "say it either with --keep-git-dir or in the URL",
    );
  }
  const flag = instruction.checksum === undefined ? "" : expand(instruction.checksum);
  const checksum = flag === "" ? reference.checksum : flag;
  if (flag !== "" && reference.checksum !== undefined && flag !== reference.checksum) {
    throw planErrorAt(
      location,
      "PLAN_CHECKSUM_INVALID",
      `add ${reference.remote}: checksum mismatch "${flag}" != "${reference.checksum}"`,
      "say it either with --checksum or in the URL",
    );
  }
  if (checksum !== undefined && !/^[0-9a-f]+$/i.test(checksum)) {
    throw planErrorAt(
      location,
      "PLAN_CHECKSUM_INVALID",
      `add ${reference.remote}: invalid checksum ${checksum} for Git URL, expected hex commit hash`,
      "give the commit's hash, or its first digits",
    );
  }
  return {
    ...reference,
    type: "git",
    ...(checksum === undefined ? {} : { checksum }),
    ...(instruction.keepGitDir ? { keepGitDir: true } : {}),
  };
}
