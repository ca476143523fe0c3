import type {
  CmdInstruction,
  CommandForm,
  EntrypointInstruction,
  ShellInstruction,
} from "../../dockerfile/index.ts";
import type { ImageState, StageState } from "../stage-state.ts";
import { formatList, formatQuotedList } from "../text-formats.ts";
import { addHistory, type RuleScope } from "./rule.ts";

const defaultShell = ["/bin/sh", "-c"];

/** The last one wins. */
export function applyCmd(instruction: CmdInstruction, scope: RuleScope): void {
  const { image } = scope.state;
  warnAboutRepetition(instruction, scope);
  warnAboutSingleQuotes(instruction, scope);
  const argv = toArgv(instruction.command, image);
  const { cmd: _cmd, ...config } = image.config;
  image.config = { ...config, ...(argv.length === 0 ? {} : { cmd: argv }), argsEscaped: true };
  addHistory(scope.state, `CMD ${formatQuotedList(argv)}`);
}

/** Clears an inherited CMD, but not one that this stage gave before. */
export function applyEntrypoint(instruction: EntrypointInstruction, scope: RuleScope): void {
  const { image, seen } = scope.state;
  warnAboutRepetition(instruction, scope);
  warnAboutSingleQuotes(instruction, scope);
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
export function warnAboutRepetition(
  {
    keyword,
    location,
  }: { keyword: "CMD" | "ENTRYPOINT" | "HEALTHCHECK" } & Pick<CmdInstruction, "location">,
  { state, warn }: { readonly state: StageState; readonly warn: RuleScope["warn"] },
): void {
  const earlier = state.seen.get(keyword);
  if (earlier !== undefined) {
    warn({
      code: "MultipleInstructionsDisallowed",
      message: `this stage has several ${keyword} instructions, of which only the last one counts`,
      hint: `remove this ${keyword} instruction`,
      location: earlier,
    });
  }
  state.seen.set(keyword, location);
}

function warnAboutSingleQuotes(
  { keyword, command, location }: CmdInstruction | EntrypointInstruction,
  { warn }: RuleScope,
): void {
  if (command.form !== "shell" || !/^\[\s*'.*'\s*\]$/s.test(command.command)) return;
  warn({
    code: "JsonSingleQuotes",
    message: `${keyword} ${command.command} is not JSON and will be run as a shell command`,
    hint: `use double quotes: ${keyword} ${command.command.replaceAll("'", '"')}`,
    location,
  });
}
