import {
  chompHeredoc,
  parseHeredocMarker,
  type Heredoc,
  type RunInstruction,
} from "../../dockerfile/index.ts";
import { planErrorAt } from "../errors.ts";
import { planMounts } from "../mounts.ts";
import { listEnvironment, type StageState } from "../stage-state.ts";
import { describeInstruction } from "../step-names.ts";
import type { ExecOp } from "../types.ts";
import { toArgv, withShell } from "./command.ts";
import { addHistory, type RuleScope } from "./rule.ts";
import { cleanDirectory } from "./workdir.ts";

export function applyRun(instruction: RunInstruction, scope: RuleScope): void {
  const { state } = scope;
  const { argv, scripts } = toProgram(instruction, state);
  const cwd = cleanDirectory(state.image.config.workingDir ?? "/");
  const mounts = planMounts(instruction, { ...scope, cwd });
  const op: ExecOp = {
    type: "exec",
    argv,
    env: listEnvironment(state),
    uncachedEnv: scope.proxies,
    cwd,
    user: state.image.config.user ?? "",
    network: readNetwork(instruction, scope),
    security: instruction.security === "insecure" ? "insecure" : "sandbox",
    platform: state.platform,
    mounts: mounts.mounts,
    scripts,
  };
  const vertex = scope.vertices.add({
    op,
    inputs: [state.root, ...mounts.inputs],
    name: scope.names.next(
      describeRun(instruction, scope, mounts.secretNames),
      scope.step.isTrigger,
    ),
    location: instruction.location,
  });
  state.root = vertex;
  addHistory(state, `RUN ${[...describeArgs(state), ...argv].join(" ")} # buildkit`, vertex);
}

/** A heredoc that is the whole argument is the script itself; beside other text the shell gets it as written. */
function toProgram(
  { command, heredocs }: RunInstruction,
  { image }: StageState,
): Pick<ExecOp, "argv" | "scripts"> {
  const [first] = heredocs;
  if (command.form === "exec" || first === undefined)
    return { argv: toArgv(command, image), scripts: [] };
  if (parseHeredocMarker(command.command) === undefined) {
    const bodies = heredocs.map(({ content, name }) => `\n${content}${name}`);
    return { argv: withShell(command.command + bodies.join(""), image), scripts: [] };
  }
  const content = chompHeredoc(first);
  if (!content.startsWith("#!")) return { argv: withShell(content, image), scripts: [] };
  const path = `/dev/pipes/${first.name}`;
  return { argv: withShell(path, image), scripts: [{ name: first.name, content }] };
}

/** `|2 a=1 b=` : the ARGs in scope with the values that the command sees. */
function describeArgs({ args, env }: StageState): readonly string[] {
  if (args.size === 0) return [];
  const pairs = Array.from(args, ([name, value]) => `${name}=${env.get(name) ?? value ?? ""}`);
  return [`|${String(args.size)}`, ...pairs];
}

function describeRun(
  { original, heredocs, command }: RunInstruction,
  { lookup, escape }: RuleScope,
  secretNames: ReadonlySet<string>,
): string {
  const [first] = heredocs;
  const isScript =
    first !== undefined &&
    command.form === "shell" &&
    parseHeredocMarker(command.command) !== undefined;
  return describeInstruction(isScript ? `${original} (${summarize(first)})` : original, {
    lookup: (name) => (secretNames.has(name) ? "****" : lookup(name)),
    escape,
    isShell: true,
  });
}

function summarize({ content }: Heredoc): string {
  const [line = "", ...others] = content.trim().split(/\r?\n/);
  return others.length === 0 ? line : `${line}...`;
}

function readNetwork(
  { network, location }: RunInstruction,
  { options }: RuleScope,
): ExecOp["network"] {
  const mode = network ?? options.network ?? "default";
  if (mode === "default" || mode === "none" || mode === "host") return mode;
  throw planErrorAt(
    location,
    "PLAN_ARGUMENT_INVALID",
    `read --network=${mode}`,
    "choose default, none or host",
  );
}
