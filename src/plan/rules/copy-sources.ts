import { posix } from "node:path";
import { hideCredentials, parseDigest, type GitReference } from "../../core/index.ts";
import {
  copyIgnoredFile,
  processWord,
  type AddInstruction,
  type CopyInstruction,
} from "../../dockerfile/index.ts";
import { planError, planErrorAt } from "../errors.ts";
import { locateFailure } from "../locate-failure.ts";
import type { CopySource, HttpOp, VertexId } from "../types.ts";
import { readGitSource, toGitOp } from "./git-source.ts";
import type { RuleScope } from "./rule.ts";

export type CopyLike = CopyInstruction | AddInstruction;

/** Of whom a source is, and where the vertices that it comes from are noted. */
export interface SourcePlace {
  readonly instruction: CopyLike;
  readonly scope: RuleScope;
  readonly name: string;
  /** Grows by the vertices that the sources come from. */
  readonly inputs: VertexId[];
}

/**
 * What one source word means, expanded: a path in the context or in the stage of `--from`, for ADD also a URL or a git repository.
 * @throws PLAN_SOURCE_INVALID, PLAN_CHECKSUM_INVALID, DIGEST_INVALID, GIT_REFERENCE_INVALID
 */
export function toSource(path: string, place: SourcePlace): CopySource {
  const { instruction, scope } = place;
  const repository = readGitSource(path, instruction.location);
  if (repository !== undefined) return toGitSource(repository, place);
  if (/^https?:\/\//.test(path)) return toUrlSource(path, place);
  if (instruction.keyword === "ADD") {
    if (instruction.checksum !== undefined)
      throw refusedChecksum(instruction, "checksum requires HTTP(S) or Git sources");
    const unpack = instruction.unpack ?? true;
    return { ...fromContext(path, place), unpack, keepOwner: false, fromUrl: false };
  }
  const [stage] = scope.step.sources;
  if (stage === undefined) {
    return { ...fromContext(path, place), unpack: false, keepOwner: false, fromUrl: false };
  }
  const input = inputOf(scope.rootOf(stage), place.inputs);
  const pattern = toPattern(path, isParents(instruction));
  return { type: "path", input, pattern, unpack: false, keepOwner: true, fromUrl: false };
}

function fromContext(
  path: string,
  { scope, inputs, instruction }: SourcePlace,
): { readonly type: "path"; readonly input: number; readonly pattern: string } {
  lintIgnored(path, { scope, instruction });
  const pattern = toPattern(path, isParents(instruction));
  return { type: "path", input: inputOf(scope.contextVertex(), inputs), pattern };
}

function lintIgnored(
  path: string,
  { scope, instruction }: Pick<SourcePlace, "scope" | "instruction">,
): void {
  const clean = posix.normalize(path).replace(/(?<=.)\/$/, "");
  if (scope.options.isIgnored?.(clean) !== true) return;
  const message = copyIgnoredFile.message(instruction.keyword, clean);
  scope.lint(copyIgnoredFile, { message, word: path });
}

function toUrlSource(url: string, { instruction, scope, name, inputs }: SourcePlace): CopySource {
  if (instruction.keyword === "COPY") {
    throw planError(
      "PLAN_SOURCE_INVALID",
      `copy ${hideCredentials(url)}: source can't be a URL for COPY`,
      { hint: "use ADD, which downloads", location: instruction.location, details: { word: url } },
    );
  }
  const op: HttpOp = {
    type: "http",
    url,
    fileName: fileNameOf(url),
    ...readChecksum(instruction, scope),
  };
  const vertex = scope.vertices.add({ op, name, location: instruction.location });
  return {
    type: "path",
    input: inputOf(vertex, inputs),
    // The name is one file's, whatever characters it holds.
    pattern: op.fileName.replace(/[*?[\\]/g, "\\$&"),
    unpack: instruction.unpack ?? false,
    keepOwner: false,
    fromUrl: true,
  };
}

/** Everything in the repository, or in the folder of it that was asked for. */
function toGitSource(
  repository: GitReference,
  { instruction, scope, name, inputs }: SourcePlace,
): CopySource {
  if (instruction.keyword === "COPY") {
    throw planErrorAt(
      instruction.location,
      "PLAN_SOURCE_INVALID",
      `copy ${repository.remote}: source can't be a git ref for COPY`,
      "use ADD, which fetches",
    );
  }
  const op = toGitOp(repository, { instruction, expand: scope.expand });
  const vertex = scope.vertices.add({ op, name, location: instruction.location });
  const input = inputOf(vertex, inputs);
  return { type: "path", input, pattern: ".", unpack: false, keepOwner: false, fromUrl: false };
}

/** A heredoc as a source: a file named by its delimiter. */
export function toInline(
  heredoc: CopyLike["heredocs"][number],
  { lookupUsed }: RuleScope,
): CopySource {
  // Bodies always know the backslash, whatever the escape directive says, and quotes are text in them.
  const content = heredoc.expand
    ? processWord(heredoc.content, { lookup: lookupUsed, literalQuotes: true }).text
    : heredoc.content;
  return { type: "inline", name: heredoc.name, content };
}

function inputOf(vertex: VertexId, inputs: VertexId[]): number {
  // Position 0 is the root that is written to, even when the source is the same vertex.
  const known = inputs.indexOf(vertex, 1);
  return known < 0 ? inputs.push(vertex) - 1 : known;
}

/**
 * Relative to the source's root; `.` is the root itself. Nothing leaves that root, but a `..` at the beginning stays, so
 * that whoever misses the file can tell what was tried.
 */
function toPattern(path: string, parents: boolean): string {
  const pivot = parents ? path.indexOf("/./") : -1;
  if (pivot < 0) return cleanRelative(path);
  return `${cleanRelative(path.slice(0, pivot))}/./${cleanRelative(path.slice(pivot + 3))}`;
}

function cleanRelative(path: string): string {
  const clean = posix.normalize(path).replace(/^\/+|\/+$/g, "");
  return clean === "" ? "." : clean;
}

/** ADD has no `--parents`. */
export function isParents(instruction: CopyLike): boolean {
  return instruction.keyword === "COPY" && instruction.parents;
}

/** The name of what is behind a URL. */
export function fileNameOf(url: string): string {
  const path = URL.canParse(url) ? decodePath(new URL(url).pathname) : "";
  const base = posix.basename(path);
  return ["", ".", "..", "/"].includes(base) ? "__unnamed__" : base;
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    // Not UTF-8 behind the percent signs: the name stays as it is written.
    return path;
  }
}

/**
 * `--checksum` of an ADD with one source from the network.
 * @throws PLAN_CHECKSUM_INVALID, DIGEST_INVALID
 */
function readChecksum(
  instruction: AddInstruction,
  { expand }: RuleScope,
): Pick<HttpOp, "checksum"> {
  if (instruction.checksum === undefined) return {};
  const digest = expand(instruction.checksum);
  return { checksum: locateFailure(instruction.location, () => parseDigest(digest)) };
}

/**
 * A checksum is of one source alone.
 * @throws PLAN_CHECKSUM_INVALID
 */
export function checkChecksumCount(instruction: CopyLike): void {
  if (instruction.keyword !== "ADD" || instruction.checksum === undefined) return;
  if (instruction.sources.length === 1) return;
  throw refusedChecksum(instruction, "checksum can't be specified for multiple sources");
}

function refusedChecksum({ checksum, location }: AddInstruction, reason: string): Error {
  const word = `--checksum=${checksum ?? ""}`;
  return planError("PLAN_CHECKSUM_INVALID", `check ${word}: ${reason}`, {
    hint: "a checksum needs an ADD with exactly one source, which is a URL or a git repository",
    location,
    details: { word },
  });
}
