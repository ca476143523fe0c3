import { describe, expect, test } from "vitest";
import { digestOf, mediaTypes } from "../../../../src/core/index.ts";
import { diffIdsOf, type CacheContents } from "../../../../src/cache/index.ts";
import { parseDocument, serializeDocument } from "../../../../src/cache/remote/document.ts";
import { layerCalled, recordOf, stackOf } from "../../../support/cache-records.ts";
import { expectThrown } from "../../../support/expect-code.ts";

const [base, one, two] = ["base", "one", "two"].map(layerCalled);
const contents: CacheContents = {
  records: [
    recordOf("b", stackOf("base", "one", "two"), { platform: "linux/amd64" }),
    recordOf("a", stackOf("base", "one")),
  ],
  layers: new Map(
    [one, two].flatMap((layer) => (layer === undefined ? [] : [[layer.diffId, layer.blob]])),
  ),
};
const blobs = [...contents.layers.values()];

describe("the document of a cache", () => {
  test("reads as it was written", () => {
    const read = parseDocument(serializeDocument(contents), blobs);
    expect(read.layers).toEqual(contents.layers);
    expect(read.records.map(({ key, platform }) => ({ key, platform }))).toEqual(
      contents.records
        .map(({ key, platform }) => ({ key, platform }))
        .sort((x, y) => (x.key < y.key ? -1 : 1)),
    );
    for (const { key, state } of read.records) {
      const before = contents.records.find((record) => record.key === key);
      expect(before && diffIdsOf(before.state)).toEqual(diffIdsOf(state));
      expect(state.created).toBe("2026-01-02T03:04:05.678Z");
    }
  });

  test("has the same bytes whatever the order in which things became known", () => {
    const turned: CacheContents = {
      records: contents.records.toReversed(),
      layers: new Map([...contents.layers].toReversed()),
    };
    expect(serializeDocument(turned).equals(serializeDocument(contents))).toBe(true);
  });

  test("writes a thousand steps of one stage once, not a thousand times", () => {
    const names = Array.from({ length: 1000 }, (_, index) => String(index));
    const whole = stackOf(...names);
    const records = [];
    for (let state = whole; ;) {
      records.push(recordOf(state.chainId, state));
      if (state.parent === undefined) break;
      state = state.parent;
    }
    const bytes = serializeDocument({ records, layers: new Map() });
    expect(bytes.length).toBeLessThan(400 * records.length);
    const read = parseDocument(bytes, []);
    expect(read.records).toHaveLength(1000);
    expect(read.records.find(({ state }) => state.depth === 1000)?.state.chainId).toBe(
      whole.chainId,
    );
  });

  test("leaves out layers that no record needs, and that the manifest does not list or calls otherwise", () => {
    const more = new Map(contents.layers).set(
      layerCalled("other").diffId,
      layerCalled("other").blob,
    );
    const bytes = serializeDocument({ ...contents, layers: more });
    expect(parseDocument(bytes, blobs).layers.size).toBe(2);
    const [first] = blobs;
    expect(parseDocument(bytes, first === undefined ? [] : [first]).layers.size).toBe(1);
    const renamed = blobs.map((blob) => ({ ...blob, mediaType: "text/html" }));
    expect(parseDocument(bytes, renamed).layers.size).toBe(0);
    expect(parseDocument(bytes, blobs).layers.has(base?.diffId ?? (digestOf("") as never))).toBe(
      false,
    );
    expect(mediaTypes.ociLayerGzip).toBe(blobs[0]?.mediaType);
  });
});

describe("a hostile document is refused as a whole", () => {
  const good = JSON.parse(serializeDocument(contents).toString()) as {
    states: Record<string, unknown>[];
    records: Record<string, unknown>[];
    layers: unknown[];
  };
  const [state = {}] = good.states;
  const [record = {}] = good.records;
  const cases: Readonly<Record<string, unknown>> = {
    "no object": [],
    "another version": { ...good, version: 2 },
    "no states": { ...good, states: undefined },
    "states that are no list": { ...good, states: { length: 3 } },
    "a state that is its own parent": { ...good, states: [{ ...state, parent: 0 }] },
    "states in a circle": {
      ...good,
      states: [
        { ...state, parent: 1 },
        { ...state, parent: 0 },
      ],
    },
    "a parent that is no position": { ...good, states: [{ ...state, parent: "__proto__" }] },
    "a parent below zero": { ...good, states: [state, { ...state, parent: -1 }] },
    "a state twice": { ...good, states: [state, state] },
    "a layer that is no digest": { ...good, states: [{ ...state, diffId: "../../etc/passwd" }] },
    "a time that is none": { ...good, states: [{ ...state, created: "<script>" }] },
    "a record without a state": { ...good, records: [{ ...record, state: 99 }] },
    "a record with half a state": { ...good, records: [{ ...record, state: 0.5 }] },
    "a record whose key is a path": { ...good, records: [{ ...record, key: "sha256:../x" }] },
    "a record that took less than no time": { ...good, records: [{ ...record, durationMs: -1 }] },
    "a record with a platform as long as a book": {
      ...good,
      records: [{ ...record, platform: "x".repeat(10_000) }],
    },
    "a record of no day": { ...good, records: [{ ...record, used: "yesterday" }] },
    "a layer without a blob": { ...good, layers: [{ diffId: state["diffId"] }] },
  };
  for (const [what, document] of Object.entries(cases)) {
    test(what, () => {
      const bytes = Buffer.from(JSON.stringify(document));
      expectThrown(() => parseDocument(bytes, blobs), "CACHE_INVALID");
    });
  }

  test("no JSON, and no text", () => {
    expectThrown(() => parseDocument(Buffer.from("{"), blobs), "CACHE_INVALID");
    expectThrown(() => parseDocument(Buffer.from([0xff, 0xfe]), blobs), "CACHE_INVALID");
  });

  test("as deep as it likes", () => {
    const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;
    const bytes = Buffer.from(`{"version":1,"states":${deep},"records":[],"layers":[]}`);
    expectThrown(() => parseDocument(bytes, blobs), "CACHE_INVALID");
  });

  test("a stack of more layers than anything has", () => {
    const states = Array.from({ length: 10_001 }, (_, index) => ({
      diffId: digestOf(String(index)),
      ...(index === 0 ? {} : { parent: index - 1 }),
    }));
    const bytes = Buffer.from(JSON.stringify({ version: 1, layers: [], records: [], states }));
    expectThrown(() => parseDocument(bytes, blobs), "CACHE_INVALID");
  });
});
