import type { Command } from "commander";
import type { Invocation } from "../../invocation.ts";
import { addExportCommand } from "./export.ts";
import { addImportCommand } from "./import.ts";
import { addInspectCommand } from "./inspect.ts";
import { addListCommand } from "./list.ts";

/** `tsbuild cache …`: what builds keep for the next ones. */
export function addCacheCommand(program: Command, invocation: Invocation): void {
  const cache = program
    .command("cache")
    .description("look at the build cache, and carry it elsewhere");
  addListCommand(cache, invocation);
  addInspectCommand(cache, invocation);
  addExportCommand(cache, invocation);
  addImportCommand(cache, invocation);
}
