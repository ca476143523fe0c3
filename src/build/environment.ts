import type { Readable } from "node:stream";
import type { BuildRecord, Cache } from "../cache/index.ts";
import type { ChainId, Clock, JobThread } from "../core/index.ts";
import type { GitRepositories, StatCache } from "../context/index.ts";
import type { MergedTree } from "../layer/index.ts";
import type { LayerRequest, LocalImage, LocalImages, PublishedLayer } from "../local/index.ts";
import type { CgroupSpec, Sandbox } from "../sandbox/index.ts";
import type { Snapshotter } from "../snapshot/index.ts";
import type { CacheMountStore, Store } from "../store/index.ts";
import type { ConnectAgent } from "./mounts/agent-proxy.ts";
import type { RemoteResults } from "./remote-results.ts";
import type { SecretWatch } from "./secrets/secret-watch.ts";
import type { StepLog } from "./steps.ts";

/** Everything that a build touches, given by the api. Expensive things are functions: a cached build opens none. */
export interface BuildEnvironment {
  readonly store: Store;
  readonly snapshots: Snapshotter;
  readonly images: LocalImages;
  readonly cache: Cache;
  /** What other machines left, where the build was told of some. */
  readonly remote?: RemoteResults | undefined;
  /** What the last build of the same target did; undefined for the first one. */
  readonly lastBuild: () => Promise<BuildRecord | undefined>;
  readonly statCache: StatCache;
  /** Digests of files in the state of a chain of layers, which never change. Absent: they are taken each time. */
  readonly layerDigests?: (chainId: ChainId) => Promise<StatCache>;
  /** Helps with many files. */
  readonly thread?: JobThread | undefined;
  readonly sandbox: () => Promise<Sandbox>;
  /** The main context under `context`, named ones under their names. */
  readonly contexts: ReadonlyMap<string, () => Promise<MergedTree>>;
  /** Where git repositories are fetched to; opened when the first op names one. */
  readonly git?: () => GitRepositories;
  /** Gets a layer that is not in the store: of a base image, or, without one, of a step that another machine ran. */
  readonly fetchLayer: (
    image: LocalImage | undefined,
    layer: PublishedLayer,
    wanted: LayerRequest,
  ) => Promise<Readable>;
  /** What `--secret` gives for an id; undefined when it gives nothing. Absent where there are no secrets at all. */
  readonly readSecret?: (id: string) => Promise<Buffer | undefined>;
  /** Keeps what `--secret` gives out of what steps make; absent where nothing is given. */
  readonly secretWatch?: SecretWatch;
  /** How to reach what `--ssh` gives for an id; undefined when it gives nothing. */
  readonly findAgent?: (id: string) => Promise<ConnectAgent | undefined>;
  /** Caches of RUN, where they are not the store's own. */
  readonly cacheMounts?: CacheMountStore | undefined;
  /** Limits of every RUN: they do not enter its key. */
  readonly limits?: Omit<CgroupSpec, "parent">;
  /** Whether somebody reads the files of the result: it is written out as files. */
  readonly readsResult?: boolean;
  readonly steps: StepLog;
  readonly clock: Clock;
  /** Time for directories that COPY and WORKDIR create, in nanoseconds: SOURCE_DATE_EPOCH or 0. */
  readonly implicitTime: bigint;
  readonly hostname: string;
  readonly signal: AbortSignal;
}
