import type { Command } from "commander";
import type { Invocation } from "../../invocation.ts";
import { addListCommand } from "../images.ts";
import { addAttachCommand } from "./attach.ts";
import { addCopyCommand } from "./copy.ts";
import { addDiffCommand } from "./diff.ts";
import { addInspectPlaceCommand } from "./inspect.ts";
import { addMutateCommand } from "./mutate.ts";
import { addReferrersCommand } from "./referrers.ts";
import { addRemoveCommand } from "./remove.ts";

/** `tsbuild image …`: images wherever they are. */
export function addImageCommand(program: Command, invocation: Invocation): void {
  const image = program
    .command("image")
    .description("copy, inspect and change images, in the local store or elsewhere");
  addCopyCommand(image, invocation);
  addAttachCommand(image, invocation);
  addReferrersCommand(image, invocation);
  addInspectPlaceCommand(image, invocation);
  addDiffCommand(image, invocation);
  addMutateCommand(image, invocation);
  addRemoveCommand(image, invocation);
  addListCommand(image, "ls");
}
