import { readFileSync } from "node:fs";

/** What this process may do to the nodes of a layer. What it may not is written down beside them. */
export interface Abilities {
  /**
   * Whether nodes are given their owners where possible. Only root can, and only with the capabilities to work on them
   * afterwards; to everybody else all nodes of a layer are his own and stand for root's, so that most need no record.
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
  const held = effectiveCapabilities();
  return {
    givesOwners: uid === 0 && holds(held, [capChown, capDacOverride, capFowner]),
    ignoresModes: holds(held, [capDacOverride]),
    uid,
    gid: process.getegid?.() ?? 0,
  };
}

/** Whether nodes can lie on the disk just as they look, whatever their owner, mode, capabilities and device numbers. */
export function canGiveAllLooks(): boolean {
  const all = [capChown, capDacOverride, capFowner, capFsetid, capMknod, capSetfcap];
  return holds(effectiveCapabilities(), all);
}

/** capability(7), linux/capability.h. */
const capChown = 0n;
const capDacOverride = 1n;
const capFowner = 3n;
/** Without it the kernel takes setgid bits away and says nothing. */
const capFsetid = 4n;
const capMknod = 27n;
const capSetfcap = 31n;

/** Of this thread, whose files they will be. */
function effectiveCapabilities(): bigint {
  const status = readFileSync("/proc/thread-self/status", "latin1");
  const [, hex = "0"] = /^CapEff:\s*([0-9a-f]+)$/m.exec(status) ?? [];
  return BigInt(`0x${hex}`);
}

function holds(held: bigint, wanted: readonly bigint[]): boolean {
  return wanted.every((bit) => ((held >> bit) & 1n) === 1n);
}
