import {
  chompHeredoc,
  parseHeredocMarker,
  type Heredoc,
  type RunInstruction,
} from "../../dockerfile/index.ts";
import { planError, planErrorAt } from "../errors.ts";
import { planMounts } from "../mounts.ts";
import { listEnvironment, type StageState } from "../stage-state.ts";
import { describeInstruction } from "../step-names.ts";
import type { Entitlement, ExecOp } from "../types.ts";
import { toArgv, withShell } from "./command.ts";
import { addHistory, type RuleScope } from "./rule.ts";
import { cleanDirectory } from "./workdir.ts";

export function applyRun(instruction: RunInstruction, scope: RuleScope): void {
  const { state } = scope;
  refuseEmptyVector(instruction);
  const { argv, scripts } = toProgram(instruction, state);
  const cwd = cleanDirectory(state.image.config.workingDir ?? "/");
  const mounts = planMounts(instruction, { scope, cwd });
  const op: ExecOp = {
    type: "exec",
    argv,
    env: withAgent(listEnvironment(state), mounts.agentSocket),
    uncachedEnv: scope.proxies,
    cwd,
    user: state.image.config.user ?? "",
    network: readNetwork(instruction, scope),
    security: readSecurity(instruction, scope),
    platform: state.platform,
    mounts: mounts.mounts,
    scripts,
    ...settingsOf(scope),
  };
  const vertex = scope.vertices.add({
    op,
    inputs: [state.root, ...mounts.inputs],
    name: scope.names.next(
      describeRun(instruction, scope, mounts.secretNames),
      scope.step.isTrigger,
    ),
    location: instruction.location,
    ignoreCache: scope.ignoreCache,
  });
  state.root = vertex;
  addHistory(state, `RUN ${[...describeArgs(state), ...argv].join(" ")} # buildkit`, vertex);
}

function refuseEmptyVector({ command, location }: RunInstruction): void {
  if (command.form === "shell" || command.argv.length > 0) return;
  throw planErrorAt(
    location,
    "PLAN_ARGUMENT_INVALID",
    "read RUN []: arguments are required",
    'for example: RUN ["npm", "ci"]',
  );
}

/** The socket of the first ssh mount, unless the stage says otherwise. */
function withAgent(env: readonly string[], socket: string | undefined): readonly string[] {
  const isSet = env.some((variable) => variable.startsWith("SSH_AUTH_SOCK="));
  return socket === undefined || isSet ? env : [...env, `SSH_AUTH_SOCK=${socket}`];
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
  if (mode !== "default" && mode !== "none" && mode !== "host") {
    throw planError("PLAN_ARGUMENT_INVALID", `invalid network mode ${JSON.stringify(mode)}`, {
      hint: "choose default, none or host",
      location,
      details: { word: `--network=${mode}` },
    });
  }
  // Who gives the whole build the host's network has thereby allowed it.
  if (network === "host" && options.network !== "host") {
    requireEntitlement("network.host", { location, options });
  }
  return mode;
}

function readSecurity(
  { security, location }: RunInstruction,
  { options }: RuleScope,
): ExecOp["security"] {
  if (security !== "insecure") return "sandbox";
  requireEntitlement("security.insecure", { location, options });
  return "insecure";
}

function requireEntitlement(
  name: Entitlement,
  { location, options }: { location: RunInstruction["location"]; options: RuleScope["options"] },
): void {
  if (options.entitlements?.has(name) === true) return;
  throw planErrorAt(
    location,
    "PLAN_ENTITLEMENT_MISSING",
    `entitlement ${name} is not allowed`,
    `build with --allow ${name} if you trust this Dockerfile`,
  );
}

function settingsOf({ options }: RuleScope): Pick<ExecOp, "settings"> {
  const hostname = options.buildArgs.get("BUILDKIT_SANDBOX_HOSTNAME") ?? "";
  const settings = { ...options.runSettings, ...(hostname === "" ? {} : { hostname }) };
  return Object.keys(settings).length === 0 ? {} : { settings };
}
