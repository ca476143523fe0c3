import { afterAll, beforeAll, expect, test } from "vitest";
import { digestOf, isTsbuildError } from "../../src/core/index.ts";
import { copyGraph } from "../../src/image/index.ts";
import { pseudoRandom } from "../support/random.ts";
import { openCuttingProxy, type CuttingProxy } from "../support/cutting-proxy.ts";
import { MemoryPlace } from "../support/memory-place.ts";
import { makeRandomImage, type RandomImage } from "../support/random-image.ts";
import { startRegistryProcess, type RegistryProcess } from "../support/registry-process.ts";
import { openTestRepository as open, pushContent } from "../support/registry-scenes.ts";

/** Cut pushes and pulls; TSBUILD_CUTS=500 makes a thousand of both. */
const rounds = Number(process.env["TSBUILD_CUTS"] ?? 15);
const seed = Number(process.env["TSBUILD_CUTS_SEED"] ?? 1);

let registry: RegistryProcess;
let proxy: CuttingProxy;

beforeAll(async () => {
  registry = await startRegistryProcess();
  proxy = await openCuttingProxy(registry.host);
});

afterAll(async () => {
  await proxy.close();
  await registry.stop();
});

test("cut at any byte, pushes and pulls succeed or say why, and the next try completes [R4.11, R6.1, R6.4]", async () => {
  const random = pseudoRandom(seed);
  const outcomes = new Map<string, number>();
  for (let round = 0; round < rounds; round += 1) {
    const path = `cuts/round-${String(round)}`;
    const image = await makeRandomImage({
      seed: `cut-${String(seed)}-${String(round)}`,
      layers: 2,
      layerSize: 300_000,
    });
    const push = () => pushContent(open(proxy.host, { path, access: "push" }), image, "1");
    count(outcomes, await cutting(random, push));
    await push();
    const halfway = new MemoryPlace("halfway");
    count(outcomes, await cutting(random, () => pull(path, image, halfway)));
    for (const [digest, bytes] of halfway.blobs) expect(digestOf(bytes)).toBe(digest);
    await pull(path, image, halfway);
    expect([...halfway.blobs.keys()].sort()).toEqual([...image.blobs.keys()].sort());
  }
  if (rounds > 100) console.log(Object.fromEntries(outcomes), { cuts: proxy.cuts });
  expect([...outcomes.values()].reduce((sum, each) => sum + each, 0)).toBe(2 * rounds);
  expect(outcomes.get("success")).toBeGreaterThan(0);
  expect(proxy.cuts).toBeGreaterThan(0);
});

async function pull(path: string, image: RandomImage, sink: MemoryPlace): Promise<void> {
  const source = open(proxy.host, { path });
  const root = await source.resolve("1");
  expect(root?.digest).toBe(image.root.digest);
  await copyGraph({ source, sink, root: image.root });
}

/** Does some work over connections that break, and gives the code of the error that it ends with. */
async function cutting(
  random: () => number,
  work: () => Promise<void>,
): Promise<string | undefined> {
  proxy.budget = () => (random() < 0.4 ? Infinity : Math.floor(random() ** 3 * 800_000));
  try {
    await work();
    return undefined;
  } catch (error) {
    if (!isTsbuildError(error)) throw error;
    expect(error.code).toMatch(/^REGISTRY_(UNREACHABLE|FAILED|ANSWER_INVALID)$/);
    expect(error.message).toContain(proxy.host);
    return error.code;
  } finally {
    proxy.budget = () => Infinity;
  }
}

function count(outcomes: Map<string, number>, code = "success"): void {
  outcomes.set(code, (outcomes.get(code) ?? 0) + 1);
}
