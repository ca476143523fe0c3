import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { digestOf, isTsbuildError, openHttpClient, type HttpClient } from "../../src/core/index.ts";
import { copyGraph } from "../../src/image/index.ts";
import { openLocalImages } from "../../src/local/index.ts";
import type { RegistryRepository } from "../../src/registry/index.ts";
import { pseudoRandom } from "../support/random.ts";
import { openFaultyProxy, type FaultyProxy, type ProxyFault } from "../support/faulty-proxy.ts";
import { MemorySnapshotter } from "../support/memory-snapshotter.ts";
import { makeRandomImage, type RandomImage } from "../support/random-image.ts";
import {
  htpasswdOfMe,
  startRegistryProcess,
  type RegistryProcess,
} from "../support/registry-process.ts";
import { given, me, openTestRepository, pushContent } from "../support/registry-scenes.ts";
import { withStore } from "../support/with-store.ts";
import type { Store } from "../../src/store/index.ts";

/** Rounds of each kind of fault; TSBUILD_FAULTS=50 for a long run. */
const rounds = Number(process.env["TSBUILD_FAULTS"] ?? 1);
const seed = Number(process.env["TSBUILD_FAULTS_SEED"] ?? 1);

const layerSize = 300_000;
/** Milliseconds of silence after which a stalled request is given up; much more than an honest answer takes. */
const silence = 3000;

let registry: RegistryProcess;
let proxy: FaultyProxy;
/** Gives silent requests up soon. */
let hasty: HttpClient;

beforeAll(async () => {
  registry = await startRegistryProcess({ htpasswd: htpasswdOfMe });
  const authorization = `Basic ${Buffer.from("me:top-secret").toString("base64")}`;
  proxy = await openFaultyProxy(registry.host, { authorization });
  hasty = openHttpClient({ idleTimeout: silence });
});

afterAll(async () => {
  await hasty.close();
  await proxy.close();
  await registry.stop();
  if (rounds > 1) console.log(Object.fromEntries(outcomes));
});

type MakeFault = (random: () => number) => ProxyFault;

const somewhere = (random: () => number): number => Math.floor(random() ** 3 * layerSize);

/** Faults that pass: whoever tries again gets through. */
const passing: readonly (readonly [string, MakeFault])[] = [
  ["429 with Retry-After", () => ({ type: "status", status: 429, retryAfter: "0" })],
  ["429", () => ({ type: "status", status: 429 })],
  ["500", () => ({ type: "status", status: 500 })],
  ["502", () => ({ type: "status", status: 502 })],
  ["503", () => ({ type: "status", status: 503 })],
  ["a request that breaks", (random) => ({ type: "cut-request", after: somewhere(random) })],
  ["an answer that breaks", (random) => ({ type: "cut-answer", after: somewhere(random) })],
  ["an end that comes early", (random) => ({ type: "short-untold", after: somewhere(random) })],
  ["slow bytes", () => ({ type: "slow" })],
  ["silence", () => ({ type: "stall" })],
];

/** Silence takes its time each time. */
const timesOf = (name: string, random: () => number): number =>
  name === "silence" ? 1 : 1 + Math.floor(random() * 2);

/** Faults after which nothing that came can be trusted. */
const lying: readonly (readonly [string, MakeFault])[] = [
  ["a wrong byte in a request", (random) => ({ type: "damage-request", at: somewhere(random) })],
  ["a wrong byte in an answer", (random) => ({ type: "damage-answer", at: somewhere(random) })],
  ["a length that is too short", (random) => ({ type: "short", after: somewhere(random) })],
];

describe("faults between us and a real registry", () => {
  test.each(passing)("%s: both ways succeed in the end [R4.11, R6.1, R6.4]", async (name, make) => {
    await throughFaults(name, async (random, work) => {
      const code = await meeting({ random, make, times: timesOf(name, random) }, work);
      expect(code).toBeUndefined();
    });
  });

  test.each(lying)("%s: success or a clear word, then success [R4.5, R4.8]", async (name, make) => {
    await throughFaults(name, async (random, work) => {
      await meeting({ random, make, times: timesOf(name, random) }, work);
    });
  });

  test.each([...passing.filter(([name]) => /429$|503|breaks|early/.test(name)), ...lying])(
    "%s, each time: a clear word, then success [R6.1, R6.6]",
    async (name, make) => {
      await throughFaults(`${name}-ever`, async (random, work) => {
        await meeting({ random, make, times: Infinity }, work);
      });
    },
  );

  test("blobs at another host are fetched there, and nobody there hears who we are [R3.21, R4.14]", async () => {
    await throughFaults("redirect", async (_random, work) => {
      proxy.choose = ({ method, path }) =>
        method === "GET" && path.includes("/blobs/sha256") ? { type: "redirect" } : undefined;
      await work();
    });
    expect(proxy.elsewhere.length).toBeGreaterThan(0);
    expect(proxy.elsewhere.filter(({ headers }) => headers.authorization !== undefined)).toEqual(
      [],
    );
  });
});

/** Some rounds of a push and a pull, each of them under faults first and without them afterwards. */
async function throughFaults(
  name: string,
  underFaults: (random: () => number, work: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const random = pseudoRandom(seed + name.length * 1000);
  for (let round = 0; round < rounds; round += 1) {
    const path = `faults/${name.replaceAll(/\W+/g, "-").toLowerCase()}/${String(round)}`;
    const image = await makeRandomImage({ seed: path, layers: 2, layerSize, compression: "none" });
    const client = name === "silence" ? hasty : undefined;
    const open = (access: "push" | "pull"): RegistryRepository =>
      openTestRepository(proxy.host, { path, access, credentials: given(me), client });
    const push = (): Promise<void> => pushContent(open("push"), image, "1");
    await calmly(() => underFaults(random, push));
    await push();
    const { store } = await withStore();
    const pull = (): Promise<void> => pullInto(store, image, open("pull"));
    await calmly(() => underFaults(random, pull));
    await expectTrueBlobs(store);
    await pull();
    expect(await sortedDigests(store)).toEqual([...image.blobs.keys()].sort());
  }
}

async function pullInto(
  store: Store,
  image: RandomImage,
  source: RegistryRepository,
): Promise<void> {
  const root = await source.resolve("1");
  expect(root?.digest).toBe(image.root.digest);
  const images = openLocalImages({ store, snapshots: new MemorySnapshotter() });
  const sink = images.sink({ fromRegistry: true });
  await copyGraph({ source, sink, root: image.root, retry: { attempts: 4, firstDelay: 1 } });
  await sink.tag("pulled:1", image.root);
}

/** Afterwards nothing meets faults any more. */
async function calmly(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } finally {
    proxy.choose = () => undefined;
  }
}

/**
 * Does some work in which requests from a random one on meet a fault, so many times. Gives the code of the failure that
 * it ends with, which names registry, repository and what was moved.
 */
async function meeting(
  fault: { readonly random: () => number; readonly make: MakeFault; readonly times: number },
  work: () => Promise<void>,
): Promise<string | undefined> {
  const { random, make } = fault;
  const first = Math.floor(random() * 5);
  let seen = 0;
  let left = fault.times;
  proxy.choose = () => {
    seen += 1;
    if (seen <= first || left <= 0) return undefined;
    left -= 1;
    return make(random);
  };
  const before = proxy.met.length;
  try {
    await work();
    count("success");
    return undefined;
  } catch (error) {
    if (!isTsbuildError(error)) throw error;
    expect(error.code).toMatch(clearCodes);
    expect(error.message).toContain(`${proxy.host}/faults/`);
    expect(error.message).toMatch(/sha256:[0-9a-f]{64}|:1\b/);
    count(error.code);
    return error.code;
  } finally {
    expect(proxy.met.length).toBeGreaterThan(before);
  }
}

/** How often work under faults ended in which way; shown after a long run. */
const outcomes = new Map<string, number>();

function count(outcome: string): void {
  outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
}

const clearCodes =
  /^(REGISTRY_(UNREACHABLE|FAILED|LIMITED|ANSWER_INVALID)|DIGEST_MISMATCH|SIZE_MISMATCH)$/;

async function expectTrueBlobs(store: Store): Promise<void> {
  for await (const { digest } of store.blobs.list()) {
    expect(digestOf(await store.blobs.read(digest))).toBe(digest);
  }
}

async function sortedDigests(store: Store): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const { digest } of store.blobs.list()) found.push(digest);
  return found.sort();
}
