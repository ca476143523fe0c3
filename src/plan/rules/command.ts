import {
  multipleInstructionsDisallowed,
  type CmdInstruction,
  type CommandForm,
  type EntrypointInstruction,
  type HealthcheckInstruction,
  type ShellInstruction,
} from "../../dockerfile/index.ts";
import type { ImageState } from "../stage-state.ts";
import { formatList, formatQuotedList } from "../text-formats.ts";
import { addHistory, type RuleScope } from "./rule.ts";

const defaultShell = ["/bin/sh", "-c"];

/** The last one wins. */
export function applyCmd(instruction: CmdInstruction, scope: RuleScope): void {
  const { image } = scope.state;
  lintRepetition(instruction, scope);
  const argv = toArgv(instruction.command, image);
  const { cmd: _cmd, ...config } = image.config;
  image.config = { ...config, ...(argv.length === 0 ? {} : { cmd: argv }), argsEscaped: true };
  addHistory(scope.state, `CMD ${formatQuotedList(argv)}`);
}

/** Clears an inherited CMD, but not one that this stage gave before. */
export function applyEntrypoint(instruction: EntrypointInstruction, scope: RuleScope): void {
  const { image, seen } = scope.state;
  lintRepetition(instruction, scope);
  const argv = toArgv(instruction.command, image);
  const { entrypoint: _entrypoint, cmd, ...config } = image.config;
  image.config = {
    ...config,
    ...(argv.length === 0 ? {} : { entrypoint: argv }),
    ...(cmd === undefined || !seen.has("CMD") ? {} : { cmd }),
  };
  addHistory(scope.state, `ENTRYPOINT ${formatQuotedList(argv)}`);
}

export function applyShell({ argv }: ShellInstruction, { state }: RuleScope): void {
  state.image.config = { ...state.image.config, shell: argv };
  addHistory(state, `SHELL ${formatList(argv)}`);
}

/** Shell form is one argument to the stage's shell. */
export function toArgv(command: CommandForm, image: ImageState): readonly string[] {
  return command.form === "exec" ? command.argv : withShell(command.command, image);
}

export function withShell(command: string, { config }: ImageState): readonly string[] {
  const shell =
    config.shell === undefined || config.shell.length === 0 ? defaultShell : config.shell;
  return [...shell, command];
}

/** Tells that only the last of several is used; also for HEALTHCHECK. */
export function lintRepetition(
  { keyword, location, original }: CmdInstruction | EntrypointInstruction | HealthcheckInstruction,
  { state, lint }: Pick<RuleScope, "state" | "lint">,
): void {
  const earlier = state.seen.get(keyword);
  if (earlier !== undefined) {
    const message = multipleInstructionsDisallowed.message(original.split(/\s/, 1)[0] ?? keyword);
    lint(multipleInstructionsDisallowed, { message, location: earlier });
  }
  state.seen.set(keyword, location);
}
