import { readdir, readFile, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openLocalCache, type BuildRecord, type LocalCache } from "../../../src/cache/index.ts";
import { digestHex, digestOf, digestOfJson, fixedClock } from "../../../src/core/index.ts";
import { cacheContent, cacheKey } from "../../contract/cache-contract.ts";
import { collect } from "../../support/collect.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

const object = cacheKey("RUN make");
const key = digestOfJson(object);

/** Caches of several boots over one folder. */
async function withFolder(): Promise<{
  readonly directory: string;
  readonly file: string;
  readonly boot: (bootId: string) => LocalCache;
}> {
  const directory = await temporaryFolder();
  const boot = (bootId: string): LocalCache =>
    openLocalCache({ directory, tmpDir: directory, bootId });
  return { directory, file: join(directory, "cache", `${digestHex(key)}.json`), boot };
}

test("records of another boot that were not marked are ignored, marked ones count", async () => {
  const { boot } = await withFolder();
  await boot("one").store(key, object, cacheContent("a"));
  expect(await boot("one").lookup(key)).toMatchObject({ bootId: "one", durable: false });
  expect(await boot("two").lookup(key)).toBeUndefined();
  await boot("two").markDurable([key]);
  expect(await boot("two").lookup(key)).toBeUndefined();
  await boot("one").markDurable([key, digestOf("unknown"), key]);
  expect(await boot("two").lookup(key)).toMatchObject({ bootId: "one", durable: true });
});

test("a truncated, damaged or lying record is a miss, and can be replaced", async () => {
  const { boot, file } = await withFolder();
  const cache = boot("one");
  await cache.store(key, object, cacheContent("base", "a"));
  const whole = await readFile(file, "utf8");
  const other = cacheContent("other").chainId ?? "";
  const damages = [
    ...Array.from({ length: 20 }, (_, part) =>
      whole.slice(0, Math.floor((whole.length * part) / 20)),
    ),
    "null",
    "[]",
    whole.replace('"version":1', '"version":2'),
    whole.replace(/"chainId":"[^"]*"/, `"chainId":"${other}"`),
    whole.replace('"durationMs":1500', '"durationMs":"1500"'),
    whole.replace("sha256:", "sha256:!"),
  ];
  for (const damage of damages) {
    expect(damage).not.toBe(whole);
    await writeFile(file, damage);
    expect(await cache.lookup(key)).toBeUndefined();
    expect(await collect(cache.list())).toEqual([]);
  }
  await cache.store(key, object, cacheContent("b"));
  expect(await cache.lookup(key)).toMatchObject(cacheContent("b"));
});

test("a hit does not read the key object", async () => {
  const { boot, file } = await withFolder();
  await boot("one").store(key, object, cacheContent("a"));
  await writeFile(file.replace(".json", ".key.json"), "{");
  expect(await boot("one").lookup(key)).toMatchObject(cacheContent("a"));
  expect(await boot("one").explain(key)).toBeUndefined();
});

test.each([
  ["cut off", (text: string) => text.slice(0, -5)],
  ["overwritten", (text: string) => text.replace('"instruction"', '"instruc\0ion')],
  ["one field short", (text: string) => text.replace(/\n.*instruction.*/, "")],
])(
  "a key object that is %s is damaged when it is read, not when it is asked for",
  async (_how, damage) => {
    const { boot, file } = await withFolder();
    const path = file.replace(".json", ".key.json");
    await boot("one").store(key, object, cacheContent("a"));
    const whole = await readFile(path, "utf8");
    expect(damage(whole)).not.toBe(whole);
    await writeFile(path, damage(whole));
    const found = await boot("one").explain(key);
    expect(() => Array.from(found?.fields ?? [])).toThrow("damaged");
  },
);

test("a hit stamps the record at most once an hour, a look never", async () => {
  const { boot, directory, file } = await withFolder();
  await boot("one").store(key, object, cacheContent("a"));
  const at = async (minutes: number): Promise<number> => {
    const clock = fixedClock(new Date(1_000_000_000_000 + minutes * 60_000));
    await openLocalCache({ directory, tmpDir: directory, bootId: "one", clock }).lookup(key);
    return ((await stat(file)).mtimeMs - 1_000_000_000_000) / 60_000;
  };
  await utimes(file, 1_000_000_000, 1_000_000_000);
  expect(await at(59)).toBe(0);
  expect(await at(61)).toBe(61);
  expect(await at(100)).toBe(61);
  expect(await at(500)).toBe(500);
  const late = fixedClock(new Date(2_000_000_000_000));
  const cache = openLocalCache({ directory, tmpDir: directory, bootId: "one", clock: late });
  expect(await cache.peek(key)).toMatchObject(cacheContent("a"));
  expect(await at(500)).toBe(500);
});

test("sweeping removes what can never be a hit again, and nothing foreign", async () => {
  const { boot, directory, file } = await withFolder();
  const [old, damaged] = [cacheKey("RUN old"), cacheKey("RUN damaged")];
  await boot("one").store(digestOfJson(old), old, cacheContent("a"));
  await boot("two").store(digestOfJson(damaged), damaged, cacheContent("a"));
  await boot("two").store(key, object, cacheContent("a"));
  const folder = join(directory, "cache");
  await writeFile(join(folder, `${digestHex(digestOfJson(damaged))}.json`), "{");
  await writeFile(join(folder, "filter.bin"), "foreign");
  expect(await boot("two").sweep()).toMatchObject({ removed: 4 });
  expect(new Set(await readdir(folder))).toEqual(
    new Set(["filter.bin", file.slice(folder.length + 1), `${digestHex(key)}.key.json`]),
  );
  expect(await boot("two").lookup(key)).toBeDefined();
});

test("what the last build did is kept by target", async () => {
  const { boot, directory } = await withFolder();
  const build = digestOf("context file target");
  const record: BuildRecord = {
    steps: [
      { name: "FROM base", inputs: [], fields: [{ name: "image", value: "sha256:1" }] },
      {
        name: "RUN make",
        inputs: [0],
        key,
        content: key,
        result: "x",
        outcome: "ran",
        durationMs: 1,
      },
    ],
    finished: "2026-01-02T03:04:05.000Z",
  };
  expect(await boot("one").loadBuildRecord(build)).toBeUndefined();
  await boot("one").saveBuildRecord(build, record);
  expect(await boot("two").loadBuildRecord(build)).toEqual(record);
  const file = join(directory, "builds", `${digestHex(build)}.json`);
  for (const damage of ['{"steps":[{}],"finished":""}', '{"steps":[]}', "{"]) {
    await writeFile(file, damage);
    expect(await boot("one").loadBuildRecord(build)).toBeUndefined();
  }
});
