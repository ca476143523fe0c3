import type { Command } from "commander";
import type { Invocation } from "../../invocation.ts";
import { addEditCommands } from "./edit.ts";
import { addInspectListCommand, addExistsCommand } from "./inspect.ts";
import { addPushListCommand } from "./push.ts";

/** `tsbuild manifest …`: lists of images for several platforms, in docker's and in podman's words. */
export function addManifestCommand(program: Command, invocation: Invocation): void {
  const manifest = program
    .command("manifest")
    .description("put images for several platforms together under one name");
  addEditCommands(manifest, invocation);
  addInspectListCommand(manifest, invocation);
  addExistsCommand(manifest, invocation);
  addPushListCommand(manifest, invocation);
}
