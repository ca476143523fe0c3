import { expect, test } from "vitest";
import { digestOf } from "../../../../src/core/index.ts";
import { diffIdsOf, inlineCache } from "../../../../src/cache/index.ts";
import { inlineMember, parseInlineCache } from "../../../../src/cache/remote/inline.ts";
import {
  parseImageConfig,
  serializeImageConfig,
  type ImageConfig,
} from "../../../../src/image/index.ts";
import { layerCalled } from "../../../support/cache-records.ts";
import { expectThrown } from "../../../support/expect-code.ts";

const layers = ["base", "one", "two"].map(layerCalled);
const blobs = layers.map(({ blob }) => blob);
const key = digestOf("key of the second step");
const now = new Date("2026-11-21T12:00:00Z");
const config: ImageConfig = {
  ...{ os: "linux", architecture: "amd64", config: {} },
  diffIds: layers.map(({ diffId }) => diffId),
  history: ["2025-01-01T00:00:00Z", "2026-02-02T02:02:02.222Z", "2026-03-03T03:03:03.333Z"].map(
    (created) => ({ created }),
  ),
};

test("the config of an image is a cache of its steps, and an image for everybody else", () => {
  const bytes = serializeImageConfig({ ...config, members: inlineCache([{ key, layers: 2 }]) });
  expect(parseImageConfig(bytes)).toEqual(parseImageConfig(serializeImageConfig(config)));
  const { records, layers: found } = parseInlineCache(bytes, blobs, now);
  expect(records).toMatchObject([{ key, platform: "linux/amd64", used: "2026-11-21" }]);
  const [record] = records;
  expect(record && diffIdsOf(record.state)).toEqual(config.diffIds.slice(0, 2));
  expect(record?.state.created).toBe("2026-02-02T02:02:02.222Z");
  // A time in other words than ours is none: it would stand in the config of the next image.
  expect(record?.state.parent?.created).toBeUndefined();
  expect([...found.values()]).toEqual(blobs);
});

test("the members of a config stand in their order", () => {
  const bytes = serializeImageConfig({ ...config, variant: "v8", members: inlineCache([]) });
  const names = Object.keys(JSON.parse(bytes.toString()) as object);
  expect(names).toEqual(names.toSorted());
  expect(names).toContain(inlineMember);
});

test("an image without a cache, and one with BuildKit's", () => {
  const parse = (members: ImageConfig["members"]): void => {
    const bytes = serializeImageConfig({ ...config, ...(members && { members }) });
    parseInlineCache(bytes, blobs, now);
  };
  expectThrown(() => parse(undefined), "CACHE_NOT_FOUND");
  expectThrown(() => parse({ "moby.buildkit.cache.v0": "W10=" }), "CACHE_FOREIGN");
});

test("an image whose cache is not its own", () => {
  const parse = (value: string | object, given = blobs): void => {
    const members = { [inlineMember]: value } as NonNullable<ImageConfig["members"]>;
    parseInlineCache(serializeImageConfig({ ...config, members }), given, now);
  };
  const one = { key, layers: 1 };
  expect(() => parse({ version: 1, records: [one] })).not.toThrow();
  for (const record of [
    { ...one, layers: 4 },
    { ...one, layers: 0 },
    { ...one, layers: "1" },
    { ...one, key: "sha256:" },
    "record",
  ]) {
    expectThrown(() => parse({ version: 1, records: [record] }), "CACHE_INVALID");
  }
  expectThrown(() => parse({ version: 2, records: [] }), "CACHE_INVALID");
  expectThrown(() => parse("text"), "CACHE_INVALID");
  expectThrown(() => parse({ version: 1, records: [one] }, blobs.slice(1)), "CACHE_INVALID");
});
