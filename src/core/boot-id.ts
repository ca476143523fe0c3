import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";

/**
 * Names this boot of the machine: what was written in it is in memory or on disk, what was written before may have been
 * lost in a power cut. Where the kernel does not tell, each call has its own, so that nothing unsynced is trusted.
 */
export function readBootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return `unknown-${randomUUID()}`;
  }
}
