import type { ChainId, DiffId, Digest } from "../core/index.ts";
import type { MergedTree } from "../layer/index.ts";

/** What a vertex is after solving: a stack of layers, or a tree that is only read from. */
export type VertexResult = LayersResult | TreeResult;

export interface LayersResult {
  readonly type: "layers";
  /** Bottom first; empty for an empty root. */
  readonly diffIds: readonly DiffId[];
  readonly chainId: ChainId | undefined;
  /** ISO time at which its top layer was made. */
  readonly created: string;
  /** Fetches and unpacks what a lazy base image has not yet here; called before its files are read. Idempotent. */
  readonly materialize?: () => Promise<void>;
  /** When each of its layers was made, as far as that is known without having them here. */
  readonly timeOf?: (chainId: ChainId) => string | undefined;
}

export interface TreeResult {
  readonly type: "tree";
  readonly tree: MergedTree;
  /** Identifies the content where it is known without reading it (a downloaded file). */
  readonly digest?: Digest;
}
