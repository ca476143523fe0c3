import { Readable } from "node:stream";
import { expect, test } from "vitest";
import {
  readStandingCache,
  writeCache,
  type CachePlace,
  type CacheState,
  type WrittenCache,
} from "../../../../src/cache/index.ts";
import { coreError } from "../../../../src/core/index.ts";
import type { Descriptor } from "../../../../src/image/index.ts";
import { expectCode } from "../../../support/expect-code.ts";
import { layerCalled, recordOf, stackOf } from "../../../support/cache-records.ts";
import { MemoryPlace } from "../../../support/memory-place.ts";

const now = new Date("2026-11-21T12:00:00Z");
const builders = Array.from({ length: 20 }, (_, index) => `builder ${String(index)}`);

/** A place that compares and replaces in one, and does not say so, as servers of object storage do. */
class SharedPlace extends MemoryPlace implements CachePlace {
  readonly name = "cache";
  readonly location = "type=memory";
  readonly isExact: boolean = false;
  readonly keepsWhatIsListed = true;
  /** Called when a builder has written; what it returns is what the builder hears. */
  heard = (isMine: boolean): boolean => isMine;

  tagInstead(manifest: Descriptor, before: Descriptor | undefined): Promise<boolean> {
    const isMine = this.names.get(this.name)?.digest === before?.digest;
    if (isMine) this.names.set(this.name, manifest);
    return Promise.resolve(this.heard(isMine));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Layers that were given a form, in the order of the work. */
async function write(
  place: CachePlace,
  steps: ReadonlyMap<string, CacheState>,
  exported: string[] = [],
): Promise<WrittenCache> {
  const states = [...steps.values()];
  const layers = new Map(states.map(({ diffId }) => [diffId, layerCalled(diffId)]));
  return writeCache({
    place,
    records: [...steps].map(([name, state]) => recordOf(name, state, { used: "2026-11-21" })),
    form: { isImageManifest: true, dockerTypes: false },
    isGoodForm: () => true,
    exportLayers: (wanted) => {
      const own = wanted.flatMap((layer) => layers.get(layer) ?? []);
      exported.push(...wanted.filter((layer) => layers.has(layer)));
      return Promise.resolve({
        layers: new Map(
          wanted.flatMap((layer) => (layers.has(layer) ? [[layer, layerCalled(layer).blob]] : [])),
        ),
        source: {
          label: "a builder",
          fetch: ({ digest }) =>
            Promise.resolve(
              Readable.from([own.find(({ blob }) => blob.digest === digest)?.bytes ?? ""], {
                objectMode: false,
              }),
            ),
          resolve: () => Promise.resolve(undefined),
        },
      });
    },
    now: () => now,
    // The others come first; nobody waits.
    pause: () => new Promise((fulfil) => setImmediate(fulfil)),
  });
}

async function keysIn(place: SharedPlace): Promise<ReadonlySet<string>> {
  const root = place.names.get(place.name);
  if (root === undefined) return new Set();
  const { contents } = await readStandingCache({ source: place, root, now });
  return new Set(contents.records.map(({ key }) => key));
}

/** A step that all have and that gives each of them other bytes, and one of its own on that. */
function stepsOf(name: string): ReadonlyMap<string, CacheState> {
  return new Map([
    ["common", stackOf("base", `common of ${name}`)],
    [name, stackOf("base", `common of ${name}`, name)],
  ]);
}

const keyOf = (name: string): string => recordOf(name, stackOf("base")).key;

test("twenty builders at once whose writes are refused while others come through: each gets in", async () => {
  const place = new SharedPlace();
  const written = await Promise.all(builders.map((name) => write(place, stepsOf(name))));
  expect(written.map(({ isKept }) => isKept)).toEqual(builders.map(() => true));
  const keys = await keysIn(place);
  expect(builders.filter((name) => !keys.has(keyOf(name)))).toEqual([]);
});

test("a layer is given its form once, however often the document is made anew", async () => {
  const place = new SharedPlace();
  const exported: string[][] = builders.map(() => []);
  await Promise.all(builders.map((name, index) => write(place, stepsOf(name), exported[index])));
  expect(exported.map((layers) => layers.length)).toEqual(builders.map(() => 2));
});

test("results of one step beyond those that a key may have are not fought for", async () => {
  const place = new SharedPlace();
  let writes = 0;
  place.heard = (isMine) => {
    if (isMine) writes += 1;
    return isMine;
  };
  const written = await Promise.all(
    builders.map((name) => write(place, new Map([["common", stackOf("base", name)]]))),
  );
  expect(written.every(({ isKept }) => isKept)).toBe(true);
  expect(writes).toBeLessThanOrEqual(builders.length);
});

test("an update that others replace at once is written again", async () => {
  const place = new SharedPlace();
  let isFirst = true;
  place.heard = (isMine) => {
    if (isFirst) place.names.clear();
    isFirst = false;
    return isMine;
  };
  expect((await write(place, stepsOf("one"))).isKept).toBe(true);
  expect(await keysIn(place)).toContain(keyOf("one"));
});

test("where others write all the time, the builder is told that it did not get in", async () => {
  const place = new SharedPlace();
  place.heard = (isMine) => {
    if (isMine) place.names.clear();
    return isMine;
  };
  expect(await write(place, stepsOf("one"))).toMatchObject({ isKept: false, isChanged: true });
  place.heard = () => {
    place.names.clear();
    return false;
  };
  expect((await write(place, stepsOf("one"))).isKept).toBe(false);
});

test("a failure of a moment costs nobody's records, and one that stays is told", async () => {
  const place = new SharedPlace();
  await write(place, stepsOf("one"));
  let failures = 1;
  const name = place.tagInstead.bind(place);
  place.tagInstead = (...update) => {
    failures -= 1;
    const gone = coreError("INTERNAL", "blob unknown", { details: { side: "sink" } });
    return failures < 0 ? name(...update) : Promise.reject(gone);
  };
  expect((await write(place, stepsOf("two"))).isKept).toBe(true);
  expect([...(await keysIn(place))]).toEqual(expect.arrayContaining([keyOf("one"), keyOf("two")]));
  // What the manifest lists is gone for good: then the others' records go, too.
  failures = 2;
  expect((await write(place, stepsOf("three"))).isKept).toBe(true);
  expect([...(await keysIn(place))].sort()).toEqual([keyOf("common"), keyOf("three")].sort());
  failures = 100;
  await expectCode(write(place, stepsOf("four")), "INTERNAL");
});
