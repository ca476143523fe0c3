import { posix } from "node:path";
import { workdirRelativePath, type WorkdirInstruction } from "../../dockerfile/index.ts";
import { describeInstruction } from "../step-names.ts";
import { addHistory, type RuleScope } from "./rule.ts";

/** Makes a layer unless the result is `/`. An absolute path is kept as written. */
export function applyWorkdir(instruction: WorkdirInstruction, scope: RuleScope): void {
  const { state, expand } = scope;
  const path = expand(instruction.path);
  if (!state.hasWorkdir && !path.startsWith("/")) {
    const message = workdirRelativePath.message(path);
    scope.lint(workdirRelativePath, { message, word: instruction.path });
  }
  state.hasWorkdir = true;
  const workingDir = resolveWorkdir(state.image.config.workingDir, path);
  state.image.config = { ...state.image.config, workingDir };
  if (workingDir === "/") {
    addHistory(state, "WORKDIR /");
    return;
  }
  const { lookup, escape, names, step } = scope;
  const text = describeInstruction(instruction.original, { lookup, escape, isShell: false });
  const vertex = scope.vertices.add({
    op: { type: "mkdir", path: cleanDirectory(workingDir), user: state.image.config.user ?? "" },
    inputs: [state.root],
    name: names.next(text, step.isTrigger),
    location: instruction.location,
  });
  state.root = vertex;
  addHistory(state, `WORKDIR ${workingDir}`, vertex);
}

/** A relative path joins the current directory. */
export function resolveWorkdir(current: string | undefined, path: string): string {
  const parent = current === undefined || current === "" ? "/" : current;
  if (path.startsWith("/")) return path;
  return path === "" ? parent : posix.join(parent, path).replace(/(?<=.)\/$/, "");
}

/** Normalised, without a slash at the end. */
export function cleanDirectory(path: string): string {
  return posix.resolve("/", path);
}
