import type { ChainId } from "../core/index.ts";
import { verifyStore, type StoreDamage, type VerifyReport } from "../local/index.ts";
import { readContainers } from "../runtime/index.ts";
import { containersOf, withEngine, type Engine, type EngineOptions } from "./engine.ts";

/** What `system verify` found. */
export interface SystemVerification {
  /** Nothing when all is well. */
  readonly damages: readonly (
    StoreDamage | { readonly kind: "container"; readonly subject: string; readonly problem: string }
  )[];
  /** How many were looked at. */
  readonly checked: VerifyReport["checked"] & { readonly containers: number };
}

/**
 * Reads every blob, record and snapshot, and tells what is damaged; changes nothing. Takes as long as reading all that is
 * kept.
 */
export async function verifySystem(options: EngineOptions): Promise<SystemVerification> {
  return withEngine(options, async (engine) => {
    const { store, snapshots, signal } = engine;
    const { damages, checked } = await verifyStore({ store, snapshots, signal });
    const containers = await readContainers(containersOf(engine));
    const stranded: SystemVerification["damages"][number][] = [];
    for (const { id, chainId } of containers) {
      if (await isHere(engine, chainId)) continue;
      const problem = `lies on ${String(chainId)}, which is gone`;
      stranded.push({ kind: "container", subject: id, problem });
    }
    return {
      damages: [...damages, ...stranded],
      checked: { ...checked, containers: containers.length },
    };
  });
}

async function isHere({ snapshots }: Engine, chainId: ChainId | undefined): Promise<boolean> {
  return chainId === undefined || (await snapshots.stat(chainId)) !== undefined;
}
