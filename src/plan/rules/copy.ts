import { posix } from "node:path";
import { hideCredentials } from "../../core/index.ts";
import { planError } from "../errors.ts";
import { describeInstruction } from "../step-names.ts";
import type { CopyOp, VertexId } from "../types.ts";
import {
  checkChecksumCount,
  isParents,
  toInline,
  toSource,
  type CopyLike,
} from "./copy-sources.ts";
import { addHistory, type RuleScope } from "./rule.ts";

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
  checkChecksumCount(instruction);
  const text = describeInstruction(instruction.original, {
    lookup: scope.lookup,
    escape: scope.escape,
    isShell: false,
  });
  const name = scope.names.next(hideCredentials(text), scope.step.isTrigger);
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
    ...paths.map(hideCredentials),
    ...instruction.heredocs.map((heredoc) => `<<${heredoc.name}`),
    written,
  ];
  addHistory(state, `${words.join(" ")} # buildkit`, vertex);
}

/** Relative to the working directory; a slash at the end stays, since it changes the meaning. */
function resolveDestination(workingDir: string | undefined, written: string): string {
  const path = posix.resolve("/", workingDir ?? "/", written);
  const isDirectory = written === "" || written === "." || /\/\.?$/.test(written);
  return isDirectory && path !== "/" ? `${path}/` : path;
}

const symbolicMode = /^[ugoa]*(?:[-+=][rwxXstugo]*)+(?:,[ugoa]*(?:[-+=][rwxXstugo]*)+)*$/;

function checkChmod(mode: string, { location, chmod }: CopyLike): string {
  const isOctal = /^[0-7]+$/.test(mode) && Number.parseInt(mode, 8) <= 0o7777;
  if (mode === "" || isOctal || symbolicMode.test(mode)) return mode;
  throw planError(
    "PLAN_CHMOD_INVALID",
    `invalid chmod parameter: '${mode}'. it should be octal string and between 0 and 07777`,
    {
      hint: "a symbolic mode such as u=rwX,go=rX will do, too",
      location,
      details: { word: `--chmod=${chmod ?? ""}` },
    },
  );
}

/** An independent layer has no passwd file in which a name could be looked up. */
function checkLinkOwner(chown: string, link: boolean, instruction: CopyLike): void {
  if (!link || chown.split(":").every((part) => part === "" || /^\d+$/.test(part))) return;
  throw planError(
    "PLAN_CHOWN_INVALID",
    `invalid user index: -1: there is nowhere to look up ${chown} for --link`,
    {
      hint: "with --link give numbers, such as --chown=1000:1000",
      location: instruction.location,
      details: { word: `--chown=${instruction.chown ?? ""}` },
    },
  );
}
