import { Readable } from "node:stream";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { CachePlaceSpec } from "../../src/api/index.ts";
import { openCachePlace } from "../../src/api/build/cache/open-place.ts";
import {
  readStandingCache,
  writeCache,
  type CacheContents,
  type CachePlace,
} from "../../src/cache/index.ts";
import type { Engine } from "../../src/api/engine.ts";
import { describeCachePlace, type OpenPlace } from "../contract/cache-place-contract.ts";
import { layerCalled, recordOf, stackOf } from "../support/cache-records.ts";
import { openTestEngine } from "../support/engine.ts";
import { startRegistryProcess, type RegistryProcess } from "../support/registry-process.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

let registry: RegistryProcess;
let count = 0;

beforeAll(async () => {
  registry = await startRegistryProcess();
});

afterAll(() => registry.stop());

function registrySpec(): CachePlaceSpec {
  const ref = `${registry.host}/team/cache-${String(++count)}:main`;
  return { type: "registry", ref, isInsecure: false };
}

describeCachePlace("docker-registry", async () => {
  const spec = registrySpec();
  const engine = await openTestEngine(await temporaryFolder());
  return placesOf(engine, spec);
});

const now = (): Date => new Date("2026-11-21T12:00:00Z");

test("twenty builders on one tag of a registry: whenever somebody looks, a whole cache is there", async () => {
  const again = placesOf(await openTestEngine(await temporaryFolder()), registrySpec());
  const looks: Promise<void>[] = [];
  await Promise.all(
    builders.map(async (name) => {
      await writeAs(name, again);
      looks.push(expectWhole(again));
    }),
  );
  await Promise.all(looks);
  // What was lost, if anything was, comes back with the next build of each.
  for (const name of builders) await writeAs(name, again);
  expect(stepsOf(await readWhole(again))).toEqual(new Set(builders));
});

test("twenty builders on one directory: nothing is lost", async () => {
  const directory = join(await temporaryFolder(), "cache");
  const spec = { type: "local", directory, tag: "latest" } as const;
  const again = placesOf(await openTestEngine(await temporaryFolder()), spec);
  await Promise.all(builders.map((name) => writeAs(name, again)));
  expect(stepsOf(await readWhole(again))).toEqual(new Set(builders));
});

const builders = Array.from({ length: 20 }, (_, index) => `builder ${String(index)}`);

function placesOf(engine: Engine, spec: CachePlaceSpec): OpenPlace {
  return async () => {
    const place = await openCachePlace({ engine, spec, access: "push" });
    onTestFinished(() => place.close());
    return place;
  };
}

/** Every builder has a step of its own on one that all have. */
async function writeAs(name: string, again: OpenPlace): Promise<void> {
  const layers = ["shared", name].map(layerCalled);
  const blobs = new Map(layers.map(({ blob, bytes }) => [blob.digest, bytes]));
  await writeCache({
    place: await again(),
    records: [
      recordOf("shared", stackOf("base", "shared"), { used: "2026-11-21" }),
      recordOf(name, stackOf("base", "shared", name), { used: "2026-11-21" }),
    ],
    form: { isImageManifest: true, dockerTypes: false },
    isGoodForm: () => true,
    exportLayers: (wanted) =>
      Promise.resolve({
        layers: new Map(
          layers.flatMap(({ diffId, blob }) => (wanted.includes(diffId) ? [[diffId, blob]] : [])),
        ),
        source: {
          label: name,
          fetch: ({ digest }) => Promise.resolve(contentOf(blobs.get(digest))),
          resolve: () => Promise.resolve(undefined),
        },
      }),
    now,
  });
}

function contentOf(bytes: Buffer | undefined): Readable {
  return Readable.from([bytes ?? Buffer.alloc(0)], { objectMode: false });
}

async function expectWhole(again: OpenPlace): Promise<void> {
  expect((await readWhole(again)).records.length).toBeGreaterThan(1);
}

/** The cache as it stands, every blob of which is there and true. */
async function readWhole(again: OpenPlace): Promise<CacheContents> {
  const place: CachePlace = await again();
  const root = await place.resolve(place.name);
  if (root === undefined) throw new Error("there is no cache");
  const { contents } = await readStandingCache({ source: place, root, now: now() });
  for (const name of stepsOf(contents)) {
    const { diffId, blob, bytes } = layerCalled(name);
    expect(contents.layers.get(diffId)).toEqual(blob);
    const chunks = (await (await place.fetch(blob)).toArray()) as Buffer[];
    expect(Buffer.concat(chunks)).toEqual(bytes);
  }
  return contents;
}

/** Builders whose own step a cache knows. */
function stepsOf({ records }: CacheContents): ReadonlySet<string> {
  const keys = new Set(records.map(({ key }) => key));
  return new Set(builders.filter((name) => keys.has(recordOf(name, stackOf("base")).key)));
}
