import { posix } from "node:path";
import { parseDigest } from "../../core/index.ts";
import { processWord, type AddInstruction, type CopyInstruction } from "../../dockerfile/index.ts";
import { planErrorAt } from "../errors.ts";
import { locateFailure } from "../locate-failure.ts";
import { describeInstruction } from "../step-names.ts";
import type { CopyOp, CopySource, HttpOp, VertexId } from "../types.ts";
import { addHistory, type RuleScope } from "./rule.ts";

type CopyLike = CopyInstruction | AddInstruction;

/** COPY and ADD are one op; they differ in what a source may be. */
export function applyCopy(instruction: CopyLike, scope: RuleScope): void {
  const { state, expand } = scope;
  const chown = expand(instruction.chown ?? "");
  const chmod = checkChmod(expand(instruction.chmod ?? ""), instruction);
  const paths = instruction.sources.map(expand);
  const written = expand(instruction.destination);
  // The reference builder gives up --link when it comes with --chmod.
  const link = instruction.link && chmod === "";
  checkLinkOwner(chown, link, instruction);
  const text = describeInstruction(instruction.original, {
    lookup: scope.lookup,
    escape: scope.escape,
    isShell: false,
  });
  const name = scope.names.next(text, scope.step.isTrigger);
  const inputs: VertexId[] = [link ? scope.vertices.emptyRoot() : state.root];
  const sources = [
    ...paths.map((path) => toSource(path, { instruction, scope, name, inputs })),
    ...instruction.heredocs.map((heredoc) => toInline(heredoc, scope)),
  ];
  const op: CopyOp = {
    type: "copy",
    instruction: instruction.keyword,
    sources,
    destination: resolveDestination(state.image.config.workingDir, written),
    ...(chown === "" ? {} : { chown }),
    ...(chmod === "" ? {} : { chmod }),
    link,
    parents: isParents(instruction),
    exclude: instruction.exclude,
  };
  const { location } = instruction;
  const { ignoreCache } = scope;
  const copied = scope.vertices.add({ op, inputs, name, location, ignoreCache });
  const vertex = link
    ? scope.vertices.add({ op: { type: "merge" }, inputs: [state.root, copied], name, location })
    : copied;
  state.root = vertex;
  const words = [
    instruction.keyword,
    ...(isParents(instruction) ? ["--parents"] : []),
    ...(chown === "" ? [] : [`--chown=${chown}`]),
    ...(chmod === "" ? [] : [`--chmod=${chmod}`]),
    ...paths,
    ...instruction.heredocs.map((heredoc) => `<<${heredoc.name}`),
    written,
  ];
  addHistory(state, `${words.join(" ")} # buildkit`, vertex);
}

interface SourcePlace {
  readonly instruction: CopyLike;
  readonly scope: RuleScope;
  readonly name: string;
  /** Grows by the vertices that the sources come from. */
  readonly inputs: VertexId[];
}

function toSource(path: string, place: SourcePlace): CopySource {
  const { instruction, scope } = place;
  if (isGitSource(path)) throw refuseGit(path, instruction);
  if (/^https?:\/\//.test(path)) return toUrlSource(path, place);
  if (instruction.keyword === "ADD") {
    refuseChecksum(instruction);
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
  const pattern = toPattern(path, isParents(instruction));
  return { type: "path", input: inputOf(scope.contextVertex(), inputs), pattern };
}

function toUrlSource(url: string, { instruction, scope, name, inputs }: SourcePlace): CopySource {
  if (instruction.keyword === "COPY") {
    throw planErrorAt(
      instruction.location,
      "PLAN_SOURCE_INVALID",
      `copy ${url}: COPY does not download`,
      "use ADD for URLs",
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

function toInline(heredoc: CopyLike["heredocs"][number], { lookup }: RuleScope): CopySource {
  // Bodies always know the backslash, whatever the escape directive says, and quotes are text in them.
  const content = heredoc.expand
    ? processWord(heredoc.content, { lookup, literalQuotes: true }).text
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

/** Relative to the working directory; a slash at the end stays, since it changes the meaning. */
function resolveDestination(workingDir: string | undefined, written: string): string {
  const path = posix.resolve("/", workingDir ?? "/", written);
  const isDirectory = written === "" || written === "." || /\/\.?$/.test(written);
  return isDirectory && path !== "/" ? `${path}/` : path;
}

function isParents(instruction: CopyLike): boolean {
  return instruction.keyword === "COPY" && instruction.parents;
}

function fileNameOf(url: string): string {
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

function isGitSource(path: string): boolean {
  if (/^(?:git|ssh):\/\//.test(path)) return true;
  if (/^https?:\/\//.test(path))
    return URL.canParse(path) && new URL(path).pathname.endsWith(".git");
  return /^[\w.-]+@[\w.-]+:/.test(path) && !path.startsWith("./") && !path.startsWith("../");
}

function refuseGit(path: string, { keyword, location }: CopyLike): Error {
  return planErrorAt(
    location,
    "PLAN_SOURCE_INVALID",
    `${keyword === "ADD" ? "add" : "copy"} ${path}: git repositories are not supported as a source`,
    "clone it in a RUN instruction, or beside the Dockerfile before the build",
  );
}

function readChecksum(
  instruction: AddInstruction,
  { expand }: RuleScope,
): Pick<HttpOp, "checksum"> {
  if (instruction.checksum === undefined) return {};
  if (instruction.sources.length !== 1)
    throw refusedChecksum(instruction, "there are several sources");
  const digest = expand(instruction.checksum);
  return { checksum: locateFailure(instruction.location, () => parseDigest(digest)) };
}

function refuseChecksum(instruction: AddInstruction): void {
  if (instruction.checksum !== undefined) throw refusedChecksum(instruction, "a source is no URL");
}

function refusedChecksum({ checksum, location }: AddInstruction, reason: string): Error {
  return planErrorAt(
    location,
    "PLAN_CHECKSUM_INVALID",
    `check --checksum=${checksum ?? ""}: ${reason}`,
    "a checksum needs an ADD with exactly one http or https source",
  );
}

const symbolicMode =
  /^[ugoa]*(?:[-+=](?:[rwxXst]*|[ugo]))+(?:,[ugoa]*(?:[-+=](?:[rwxXst]*|[ugo]))+)*$/;

function checkChmod(mode: string, { location }: CopyLike): string {
  const isOctal = /^[0-7]+$/.test(mode) && Number.parseInt(mode, 8) <= 0o7777;
  if (mode === "" || isOctal || symbolicMode.test(mode)) return mode;
  throw planErrorAt(
    location,
    "PLAN_CHMOD_INVALID",
    `read --chmod=${mode}`,
    "give an octal mode from 0 to 7777, or a symbolic one such as u=rwX,go=rX",
  );
}

/** An independent layer has no passwd file in which a name could be looked up. */
function checkLinkOwner(chown: string, link: boolean, { location }: CopyLike): void {
  if (!link || chown.split(":").every((part) => part === "" || /^\d+$/.test(part))) return;
  throw planErrorAt(
    location,
    "PLAN_CHOWN_INVALID",
    `look up the owner ${chown} for --link`,
    "with --link give numbers, such as --chown=1000:1000",
  );
}
