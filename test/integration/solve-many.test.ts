import { expect, test } from "vitest";
import { solve, StepLog } from "../../src/build/index.ts";
import type { Cache, CacheRecord } from "../../src/cache/index.ts";
import {
  chainIdOf,
  diffId,
  digestOf,
  type Digest,
  type ProgressEvent,
} from "../../src/core/index.ts";
import { parseImageConfig } from "../../src/image/index.ts";
import type { Snapshotter } from "../../src/snapshot/index.ts";
import { openWaitingBuild } from "../support/build-harness.ts";

function chain(length: number): string {
  return ["FROM base", ...Array.from({ length }, (_, index) => `RUN ${String(index)}`)].join("\n");
}

test("300 steps in a row run, one after the other, and are found again", async () => {
  const { harness, sandbox } = await openWaitingBuild({
    answer: (name) => ({ write: { [name]: name } }),
  });
  const first = await harness.build(chain(300));
  expect(sandbox.commands).toEqual(Array.from({ length: 300 }, (_, index) => String(index)));
  expect(parseImageConfig(first.config).diffIds).toHaveLength(301);
  const second = await harness.build(chain(300));
  expect(second.config.equals(first.config)).toBe(true);
  expect(harness.events.map(({ type }) => type)).toEqual(Array(301).fill("step-cached"));
});

test("a hundred stages run beside each other", async () => {
  const { harness, sandbox } = await openWaitingBuild({
    answer: (name) => ({ write: { out: name } }),
  });
  const names = Array.from({ length: 100 }, (_, index) => `s${String(index)}`);
  const stages = names.map((name) => `FROM base AS ${name}\nRUN ${name}\n`);
  const copies = names.map((name) => `COPY --from=${name} /out /${name}\n`);
  const { targets } = await harness.build([...stages, "FROM scratch\n", ...copies].join(""));
  expect(sandbox.commands.toSorted()).toEqual(names.toSorted());
  expect(targets[0]?.diffIds).toHaveLength(100);
});

/** Knows every key, and counts how often it was asked. */
function allKnowing(): { readonly cache: Cache; readonly asked: Digest[] } {
  const asked: Digest[] = [];
  const layer = diffId(digestOf("any"));
  const record: CacheRecord = {
    version: 1,
    diffIds: [layer],
    chainId: chainIdOf([layer]),
    created: "2026-01-01T00:00:00Z",
    durationMs: 1,
    bootId: "",
    durable: true,
  };
  const lookup: Cache["lookup"] = async (key) => {
    asked.push(key);
    return Promise.resolve(record);
  };
  const refuse = (): never => {
    throw new Error("a cached build only looks up");
  };
  const cache = {
    lookup,
    peek: refuse,
    store: refuse,
    explain: refuse,
    remove: refuse,
    isEmpty: async () => Promise.resolve(false),
    list: refuse,
  };
  return { cache, asked };
}

/** Every snapshot is here; nothing can be read or written. */
const onlyPresent: Pick<Snapshotter, "stat"> = {
  stat: async (chainId) =>
    Promise.resolve({
      chainId,
      diffId: diffId(digestOf("any")),
      parent: undefined,
      tarSize: 0,
      contentSize: 0,
      created: "2026-01-01T00:00:00Z",
      reproducible: true,
    }),
};

test.for<[string, string, number]>([
  ["20,000 steps in a row", chain(20_000), 20_000],
  [
    "40 diamonds on top of each other",
    Array.from({ length: 40 }, (_, index) => {
      const below = index === 0 ? "base" : `top${String(index - 1)}`;
      const n = String(index);
      return `FROM ${below} AS left${n}\nRUN left\nFROM ${below} AS top${n}\nRUN right\nCOPY --from=left${n} /a /a\n`;
    }).join(""),
    120,
  ],
])("%s that are all cached are looked up once each", async ([, dockerfile, steps]) => {
  const { harness } = await openWaitingBuild();
  const plan = await harness.plan(dockerfile);
  const events: ProgressEvent[] = [];
  const { cache, asked } = allKnowing();
  const environment = {
    ...harness.environment,
    cache,
    snapshots: onlyPresent as Snapshotter,
    steps: new StepLog({
      listener: (event) => events.push(event),
      clock: harness.environment.clock,
    }),
  };
  const solution = await solve(plan, environment);
  expect(solution.trace.filter(({ outcome }) => outcome === "cached")).toHaveLength(steps);
  expect(new Set(asked).size).toBe(steps);
  expect(asked).toHaveLength(steps);
  expect(events.filter(({ type }) => type === "step-cached")).toHaveLength(steps + 1);
});
