import type { Readable } from "node:stream";
import type { Cache } from "../cache/index.ts";
import type { Clock } from "../core/index.ts";
import type { BuildContext, StatCache } from "../context/index.ts";
import type { Descriptor } from "../image/index.ts";
import type { LocalImage, LocalImages } from "../local/index.ts";
import type { Sandbox } from "../sandbox/index.ts";
import type { Snapshotter } from "../snapshot/index.ts";
import type { Store } from "../store/index.ts";
import type { StepLog } from "./steps.ts";

/** Everything that a build touches, given by the api. Expensive things are functions: a cached build opens none. */
export interface BuildEnvironment {
  readonly store: Store;
  readonly snapshots: Snapshotter;
  readonly images: LocalImages;
  readonly cache: Cache;
  readonly statCache: StatCache;
  readonly sandbox: () => Promise<Sandbox>;
  /** The main context under `context`, named ones under their names. */
  readonly contexts: ReadonlyMap<string, () => Promise<BuildContext>>;
  /** Gets a layer of a base image that is not in the store. */
  readonly fetchLayer: (
    image: LocalImage,
    descriptor: Descriptor,
    signal?: AbortSignal,
  ) => Promise<Readable>;
  /** What `--secret` gives for an id; undefined when it gives nothing. Absent where there are no secrets at all. */
  readonly readSecret?: (id: string) => Promise<Buffer | undefined>;
  readonly steps: StepLog;
  readonly clock: Clock;
  /** Time for directories that COPY and WORKDIR create, in nanoseconds: SOURCE_DATE_EPOCH or 0. */
  readonly implicitTime: bigint;
  readonly hostname: string;
  readonly signal: AbortSignal;
}
