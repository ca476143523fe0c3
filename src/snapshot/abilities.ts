import { readFileSync } from "node:fs";

/** What this process may do to the nodes of a layer. What it may not is written down beside them. */
export interface Abilities {
  /**
   * Whether nodes are given their owners where possible. Nobody but root can; to everybody else all nodes of a layer are
   * his own and stand for root's, so that most need no record.
   */
  readonly givesOwners: boolean;
  /** Whether modes that shut their owner out leave the files open to us: CAP_DAC_OVERRIDE. */
  readonly ignoresModes: boolean;
  /** Whom a new file belongs to. */
  readonly uid: number;
  readonly gid: number;
}

export function readAbilities(): Abilities {
  const uid = process.geteuid?.() ?? 0;
  return {
    givesOwners: uid === 0,
    ignoresModes: hasCapability(capDacOverride),
    uid,
    gid: process.getegid?.() ?? 0,
  };
}

/** capability(7), linux/capability.h. */
const capDacOverride = 1n;

/** Of this thread, whose files they will be. */
function hasCapability(bit: bigint): boolean {
  const status = readFileSync("/proc/thread-self/status", "latin1");
  const [, hex = "0"] = /^CapEff:\s*([0-9a-f]+)$/m.exec(status) ?? [];
  return ((BigInt(`0x${hex}`) >> bit) & 1n) === 1n;
}
