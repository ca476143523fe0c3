import { resolve } from "node:path";
import { digestOf, type Digest } from "../../core/index.ts";
import type { BuildOptions } from "./options.ts";

/** What tells builds of one thing from builds of another: names the record of the last one. */
export function targetOf({
  context,
  file = "",
  target = "",
}: Pick<BuildOptions, "context" | "file" | "target">): Digest {
  return digestOf([resolve(context), file, target].join("\0"));
}
