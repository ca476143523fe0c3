import { Option, type Command } from "commander";
import { imageHistory } from "../../api/index.ts";
import { globalFlags, type Invocation } from "../invocation.ts";
import { formatAge, formatSize, formatTable } from "../table.ts";

interface Flags {
  readonly trunc: boolean;
  readonly quiet?: boolean;
  readonly format?: "table" | "json";
}

const shownWidth = 45;

/** `tsbuild history IMAGE`: newest step first. */
export function addHistoryCommand(program: Command, _invocation: Invocation): void {
  program
    .command("history")
    .description("show the steps that made an image, newest first")
    .argument("<image>", "image name or ID")
    .option("--no-trunc", "do not shorten texts")
    .option("-q, --quiet", "print only IDs")
    .addOption(new Option("--format <format>", "output format").choices(["table", "json"]))
    .action(async (image: string, flags: Flags, command: Command) => {
      const rows = await imageHistory({ ...globalFlags(command), image });
      if (flags.format === "json") {
        process.stdout.write(`${JSON.stringify(rows, undefined, 2)}\n`);
        return;
      }
      const id = (text: string | undefined): string => {
        if (text === undefined) return "<missing>";
        return flags.trunc ? text.slice("sha256:".length, "sha256:".length + 12) : text;
      };
      if (flags.quiet === true) {
        process.stdout.write(rows.map((row) => `${id(row.id)}\n`).join(""));
        return;
      }
      const now = new Date();
      const cells = rows.map((row) => [
        id(row.id),
        formatAge(row.created, now),
        flags.trunc ? shorten(row.createdBy) : row.createdBy,
        formatSize(row.size),
        row.comment,
      ]);
      const header = ["IMAGE", "CREATED", "CREATED BY", "SIZE", "COMMENT"];
      process.stdout.write(formatTable(header, cells));
    });
}

function shorten(text: string): string {
  return text.length <= shownWidth ? text : `${text.slice(0, shownWidth - 1)}…`;
}
