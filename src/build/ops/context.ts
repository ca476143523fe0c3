import { coreError } from "../../core/index.ts";
import type { ContextOp } from "../../plan/index.ts";
import type { BuildEnvironment } from "../environment.ts";
import type { TreeResult } from "../result.ts";

/** A build context as a tree; opened when the first op reads from it. */
export async function openContext(
  op: ContextOp,
  environment: BuildEnvironment,
): Promise<TreeResult> {
  const open = environment.contexts.get(op.name);
  if (open === undefined) throw coreError("INTERNAL", `open build context ${op.name}`);
  return { type: "tree", tree: await open() };
}
