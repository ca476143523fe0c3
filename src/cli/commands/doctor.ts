import { Option, type Command } from "commander";
import { examine, type DoctorRow } from "../../api/index.ts";
import { globalFlags, type Invocation } from "../invocation.ts";

/** `tsbuild doctor`: exit code 0 when builds can run here, else 1. */
export function addDoctorCommand(program: Command, invocation: Invocation): void {
  program
    .command("doctor")
    .description(
      "tell what builds can do on this machine, what is weaker here, and what would lift it",
    )
    .addOption(new Option("--format <format>", "output format").choices(["text", "json"]))
    .action(async (flags: { readonly format?: "text" | "json" }, command: Command) => {
      const report = await examine(globalFlags(command));
      invocation.exitCode = report.canBuild ? 0 : 1;
      if (flags.format === "json") {
        process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
        return;
      }
      for (const row of report.rows) process.stdout.write(formatRow(row));
      const verdict = report.canBuild ? "Builds can run here." : "Builds with RUN cannot run here.";
      process.stdout.write(`\n${verdict}\n`);
    });
}

const nameWidth = 17;

function formatRow({ name, verdict, found, weaker, hints }: DoctorRow): string {
  const indent = " ".repeat(nameWidth + 9);
  return [
    `${verdict.padEnd(8)} ${name.padEnd(nameWidth)}${found}`,
    ...weaker.map((line) => `${indent}- ${line}`),
    ...hints.map((line) => `${indent}hint: ${line}`),
    "",
  ].join("\n");
}
