import { setImmediate as breathe } from "node:timers/promises";
import { diffId, Digester, type JobThread, monotonicMs } from "../core/index.ts";
import { hashElsewhere, type LayerEntryWithContent, layerTarChunks } from "../layer/index.ts";
import type { LoggedLayer } from "./layer-log.ts";

/** Timers and signals get their turn so often. */
const turnMs = 20;
/** A thread costs as much as some 500 files take, and 25 MB. */
const worthThread = 1000;

/** Walks through a layer, whose files keep their contents. */
export interface EntriesWalk {
  /** Begins anew with each call. */
  readonly entries: () => Iterable<LayerEntryWithContent>;
  readonly openThread?: (() => JobThread | undefined) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * What the tar of a layer is. Where there are many entries, a second thread reads the files and hashes, while this one
 * walks and makes the headers.
 * @throws the reason of `signal` when it is aborted; LAYER_SIZE_MISMATCH when a file changed while it was read
 */
export async function digestEntries(walk: EntriesWalk): Promise<LoggedLayer> {
  const rest = walk.entries()[Symbol.iterator]();
  const first = take(rest, worthThread);
  const thread = first.length < worthThread ? undefined : walk.openThread?.();
  const entries = concat(first, rest);
  if (thread === undefined) return digestHere(entries, walk);
  thread.start();
  try {
    const layer = await digestElsewhere(entries, { thread, signal: walk.signal });
    if (layer !== undefined) return layer;
  } finally {
    await thread.close();
  }
  return digestHere(walk.entries(), walk);
}

async function digestElsewhere(
  entries: Iterable<LayerEntryWithContent>,
  { thread, signal }: Pick<EntriesWalk, "signal"> & { readonly thread: JobThread },
): Promise<LoggedLayer | undefined> {
  const contents = new Contents(entries);
  const tar = await hashElsewhere(contents, { thread, signal, takeTurn: turns(signal) });
  return tar && { diffId: diffId(tar.digest), tarSize: tar.size, contentSize: contents.size };
}

async function digestHere(
  entries: Iterable<LayerEntryWithContent>,
  { signal }: Pick<EntriesWalk, "signal">,
): Promise<LoggedLayer> {
  const contents = new Contents(entries);
  const digester = new Digester();
  const takeTurn = turns(signal);
  for await (const chunk of layerTarChunks(contents, { isPassing: true })) {
    digester.update(chunk);
    const turn = takeTurn();
    if (turn !== undefined) await turn;
  }
  const tarSize = digester.size;
  return { diffId: diffId(digester.digest()), tarSize, contentSize: contents.size };
}

/** Adds up the contents that pass. */
class Contents implements Iterable<LayerEntryWithContent> {
  readonly #entries: Iterable<LayerEntryWithContent>;
  size = 0;

  constructor(entries: Iterable<LayerEntryWithContent>) {
    this.#entries = entries;
  }

  *[Symbol.iterator](): Generator<LayerEntryWithContent, void, undefined> {
    for (const entry of this.#entries) {
      this.size += entry.size;
      yield entry;
    }
  }
}

function take<Value>(values: Iterator<Value>, count: number): Value[] {
  const taken: Value[] = [];
  while (taken.length < count) {
    const next = values.next();
    if (next.done === true) break;
    taken.push(next.value);
  }
  return taken;
}

function* concat<Value>(first: readonly Value[], rest: Iterator<Value>): Generator<Value> {
  yield* first;
  for (let next = rest.next(); next.done !== true; next = rest.next()) yield next.value;
}

/** To be called again and again; where it gives a promise, the walk waits for that. */
function turns(signal: AbortSignal | undefined): () => Promise<void> | undefined {
  let turnEnds = monotonicMs() + turnMs;
  return () => {
    signal?.throwIfAborted();
    if (monotonicMs() < turnEnds) return undefined;
    return breathe().then(() => {
      turnEnds = monotonicMs() + turnMs;
    });
  };
}
