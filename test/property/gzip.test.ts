import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { compressGzip } from "../../src/layer/index.ts";
import { pseudoRandom } from "../support/random.ts";

/** Runs, noise of few or many values, and copies of what came before: what an encoder tells apart. */
const piece = fc.oneof(
  fc.record({ kind: fc.constant("run" as const), size: fc.nat(3000), value: fc.nat(255) }),
  fc.record({
    kind: fc.constant("noise" as const),
    size: fc.nat(6000),
    values: fc.integer({ min: 1, max: 256 }),
    seed: fc.nat(),
  }),
  fc.record({
    kind: fc.constant("copy" as const),
    size: fc.nat(2000),
    back: fc.integer({ min: 1, max: 70_000 }),
  }),
);

const content = fc.array(piece, { maxLength: 60 }).map((pieces) => {
  const bytes: number[] = [];
  for (const made of pieces) {
    const next = made.kind === "noise" ? pseudoRandom(made.seed) : () => 0;
    const from = bytes.length;
    for (let index = 0; index < made.size; index += 1) {
      if (made.kind === "run") bytes.push(made.value);
      else if (made.kind === "noise") bytes.push(Math.floor(next() * made.values));
      else bytes.push(bytes[from + index - made.back] ?? 0);
    }
  }
  return Buffer.from(bytes);
});

const levels = fc.constantFrom(undefined, undefined, 0, 1, 6);

test("gzip gives back what went in, and the same bytes however it arrives", async () => {
  const property = fc.asyncProperty(
    fc.record({ bytes: content, cuts: fc.array(fc.nat(), { maxLength: 20 }), level: levels }),
    async ({ bytes, cuts, level }) => {
      const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length];
      places.sort((one, other) => one - other);
      const chunks = places.slice(1).map((end, index) => bytes.subarray(places[index], end));
      const compressed = await buffer(compressGzip(Readable.from(chunks), { level }));
      expect(gunzipSync(compressed).equals(bytes)).toBe(true);
      const once = await buffer(compressGzip(Readable.from([bytes]), { level }));
      expect(compressed.equals(once)).toBe(true);
    },
  );
  await fc.assert(property, { numRuns: Number(process.env["GZIP_RUNS"] ?? 60) });
});
