import type { RemoteRecord } from "../cache/index.ts";
import type { DiffId, Digest } from "../core/index.ts";
import type { PublishedLayer } from "../local/index.ts";

/** A record that another machine wrote, and where it was read. */
export interface RemoteFinding {
  readonly record: RemoteRecord;
  /** As people named it. */
  readonly source: string;
}

/**
 * What other machines left of steps. It is asked only for what is not here, reads its documents when it is first asked, and
 * fails never: what cannot be had is told as a warning. Nothing that it says is believed unless it fits the plan.
 */
export interface RemoteResults {
  /** Records of a key, the likeliest first. Rejects only when the build is canceled. */
  lookup(key: Digest): Promise<readonly RemoteFinding[]>;
  /** Where a layer can be had; undefined when nobody has it, or when that has turned out not to be so. */
  layer(diffId: DiffId): PublishedLayer | undefined;
  /** Tells that a record does not fit the step whose key it has. */
  refuse(finding: RemoteFinding, why: string): void;
  /** These layers could not be had: from now on nobody has them, and their steps run. */
  giveUp(layers: readonly DiffId[], cause: unknown): void;
}
