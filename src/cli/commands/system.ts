import { Option, type Command } from "commander";
import {
  pruneSystem,
  systemUsage,
  verifySystem,
  type SystemVerification,
} from "../../api/index.ts";
import { globalFlags, type Invocation } from "../invocation.ts";
import { formatSize, formatTable } from "../table.ts";
import { warningPrinter } from "../warnings.ts";

/** `tsbuild system df`, `tsbuild system prune` and `tsbuild system verify` */
export function addSystemCommand(program: Command, invocation: Invocation): void {
  const system = program.command("system").description("disk usage and cleaning up");
  system
    .command("df")
    .description("show what takes space")
    .addOption(new Option("--format <format>", "output format").choices(["table", "json"]))
    .action(async (flags: { readonly format?: "table" | "json" }, command: Command) => {
      const rows = await systemUsage(globalFlags(command));
      if (flags.format === "json") {
        process.stdout.write(`${JSON.stringify(rows, undefined, 2)}\n`);
        return;
      }
      const cells = rows.map((row) => [
        row.type,
        String(row.total),
        String(row.active),
        formatSize(row.size),
        describeReclaimable(row),
      ]);
      const header = ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"];
      process.stdout.write(formatTable(header, cells));
    });
  system
    .command("prune")
    .description("remove stopped containers, dangling images and unused build cache")
    .option("-a, --all", "also images that no container uses, and all build cache")
    .option("-f, --force", "accepted for compatibility: nothing is asked")
    .action(async (flags: { readonly all?: boolean }, command: Command) => {
      const report = await pruneSystem({
        ...globalFlags(command),
        all: flags.all ?? false,
        progress: warningPrinter(process.stderr),
        signal: invocation.signal,
      });
      for (const name of report.untagged) process.stdout.write(`Untagged: ${name}\n`);
      process.stdout.write(`Total reclaimed space: ${formatSize(report.reclaimed)}\n`);
    });
  system
    .command("verify")
    .description("read all that is kept and tell what is damaged; the exit code is 1 then")
    .addOption(new Option("--format <format>", "output format").choices(["text", "json"]))
    .action(async (flags: { readonly format?: "text" | "json" }, command: Command) => {
      const found = await verifySystem({ ...globalFlags(command), signal: invocation.signal });
      const text =
        flags.format === "json" ? JSON.stringify(found, undefined, 2) : describeVerification(found);
      process.stdout.write(`${text}\n`);
      if (found.damages.length > 0) invocation.exitCode = 1;
    });
}

function describeVerification({ checked, damages }: SystemVerification): string {
  const counts = Object.entries(checked).map(([what, count]) => `${String(count)} ${what}`);
  const lines = damages.map((damage) => {
    const users = "images" in damage ? damage.images.filter((user) => user !== damage.subject) : [];
    const needed = users.length === 0 ? "" : ` (needed by ${users.join(", ")})`;
    return `${damage.kind} ${damage.subject} ${damage.problem}${needed}`;
  });
  const outcome =
    lines.length === 0
      ? "nothing is damaged"
      : "remove the images that are named, then `tsbuild system prune --all`, and build or pull them again";
  return [...lines, `Checked: ${counts.join(", ")}`, outcome].join("\n");
}

function describeReclaimable(row: { readonly size: number; readonly reclaimable: number }): string {
  const percent = row.size === 0 ? 0 : Math.round((100 * row.reclaimable) / row.size);
  return `${formatSize(row.reclaimable)} (${percent}%)`;
}
