import { Option, type Command } from "commander";
import { listImages, type ImageRow } from "../../api/index.ts";
import { globalFlags, type Invocation } from "../invocation.ts";
import { formatAge, formatSize, formatTable } from "../table.ts";

/** `tsbuild images` */
export function addImagesCommand(program: Command, _invocation: Invocation): void {
  addListCommand(program, "images");
}

/** The same under another name: `tsbuild image ls`. */
export function addListCommand(program: Command, name: string): void {
  program
    .command(name)
    .description("list images")
    .option("-q, --quiet", "print only the IDs")
    .option("-a, --all", "images without a name too")
    .option("--no-trunc", "print full IDs")
    .addOption(new Option("--format <format>", "output format").choices(["table", "json"]))
    .action(async (flags: Flags, command: Command) => {
      const rows = await listImages({ ...globalFlags(command), all: flags.all ?? false });
      process.stdout.write(render(rows, flags));
    });
}

interface Flags {
  readonly quiet?: boolean;
  readonly all?: boolean;
  readonly trunc: boolean;
  readonly format?: "table" | "json";
}

function render(rows: readonly ImageRow[], flags: Flags): string {
  const id = (row: ImageRow): string =>
    flags.trunc ? row.id.slice("sha256:".length, "sha256:".length + 12) : row.id;
  if (flags.format === "json") return `${JSON.stringify(rows, undefined, 2)}\n`;
  if (flags.quiet === true) return rows.map((row) => `${id(row)}\n`).join("");
  const now = new Date();
  return formatTable(
    ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"],
    rows.map((row) => [
      row.repository,
      row.tag,
      id(row),
      formatAge(row.created, now),
      formatSize(row.size),
    ]),
  );
}
