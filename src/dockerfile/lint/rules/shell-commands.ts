import type { CommandForm, RunInstruction, StageInstruction } from "../../types.ts";

/** One simple command of a shell text, as far as it can be told without a shell. */
export interface ShellCommand {
  readonly words: readonly string[];
  /** Gets its input from the command before. */
  readonly isPiped: boolean;
}

/** The commands of a RUN in shell form; none where a heredoc or JSON holds them. */
export function commandsOf({ command, heredocs }: RunInstruction): readonly ShellCommand[] {
  return command.form === "shell" && heredocs.length === 0 ? splitCommands(command.command) : [];
}

/** The command that CMD, ENTRYPOINT, HEALTHCHECK and RUN have. */
export function commandFormOf(instruction: StageInstruction): CommandForm | undefined {
  switch (instruction.keyword) {
    case "CMD":
    case "ENTRYPOINT":
    case "HEALTHCHECK":
    case "RUN":
      return instruction.command;
    default:
      return undefined;
  }
}

/** Cuts at `;`, `&`, `|` and line feeds that no quotes protect. */
function splitCommands(text: string): readonly ShellCommand[] {
  const commands: ShellCommand[] = [];
  const pieces = text.match(/"(?:\\.|[^"\\])*"|'[^']*'|\\.|[;&|\n]+|[^;&|\n"'\\]+|./gs) ?? [];
  let command = "";
  let isPiped = false;
  const end = (): void => {
    const words = command.trim().split(/\s+/);
    if (command.trim() !== "") commands.push({ words, isPiped });
    command = "";
  };
  for (const piece of pieces) {
    if (!/^[;&|\n]+$/.test(piece)) command += piece;
    else {
      end();
      isPiped = piece === "|";
    }
  }
  end();
  return commands;
}
