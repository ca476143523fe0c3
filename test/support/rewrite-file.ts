import { statSync, writeFileSync } from "node:fs";

/**
 * Gives a file other content, until its times are others too: the kernel's clock for files ticks every few
 * milliseconds, and some filesystems count whole seconds.
 */
export function rewriteFile(path: string, content: string): void {
  const { ctimeNs } = statSync(path, { bigint: true });
  do writeFileSync(path, content);
  while (statSync(path, { bigint: true }).ctimeNs === ctimeNs);
}
