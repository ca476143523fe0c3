import { cp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { digestOf } from "../../src/core/index.ts";
import { changeCacheDocument, type CacheDocument } from "../support/cache-document.ts";
import { makeFolder } from "../support/setup-context.ts";
import { useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace();
const { expectCli } = workspace;

/** The second step says what the first one left: a result of the wrong step is seen. */
const dockerfile = [
  "FROM BUSYBOX",
  "COPY word /word",
  "RUN echo $(cat /word) >/said; head -c 9 /dev/urandom >/mark",
  "RUN cat /said >/again",
  'CMD ["cat", "/again"]',
  "",
].join("\n");

let folder = "";
let cache = "";

beforeAll(async () => {
  folder = await contextSaying("right");
  cache = join(await workspace.freshRoot(), "cache");
  const to = `type=local,dest=${cache},mode=max`;
  await expectCli(["--cache-to", to, folder]);
  // Results of other steps, which a poisoner may put in the place of ours.
  await expectCli(["--cache-to", to, await contextSaying("wrong")]);
});

/** A context that goes away with the file. */
async function contextSaying(word: string): Promise<string> {
  const directory = await workspace.freshRoot();
  const text = dockerfile.replace("BUSYBOX", workspace.busybox);
  await writeFile(join(directory, "Dockerfile"), text);
  await writeFile(join(directory, "word"), `${word}\n`);
  return directory;
}

/** What comes of a build on an empty machine with a cache that somebody changed. */
async function buildWith(
  change: (document: CacheDocument) => unknown,
): Promise<{ readonly stderr: string; readonly said: string; readonly ran: number }> {
  const directory = join(await makeFolder(), "poisoned");
  await cp(cache, directory, { recursive: true });
  await changeCacheDocument(directory, change);
  const root = await workspace.freshRoot();
  const from = `type=local,src=${directory}`;
  const { stderr } = await expectCli(["-t", "app", "--cache-from", from, folder], { root });
  const { stdout } = await expectCli(["run", "--rm", "app"], { root });
  return { stderr, said: stdout, ran: [...stderr.matchAll(/^#\d+ why: /gm)].length };
}

test("as it was written, it is believed", async () => {
  expect(await buildWith((document) => document)).toMatchObject({ said: "right\n", ran: 0 });
});

describe("a record that does not fit is refused, and its step runs", () => {
  test("one that names another parent", async () => {
    // Each key leads to the next state of the same height: whole stacks, of the other build.
    const { stderr, said } = await buildWith(({ records, ...document }) => {
      const heights = document.states.map(function height({ parent }): number {
        const below = parent === undefined ? undefined : document.states[parent];
        return below === undefined ? 1 : height(below) + 1;
      });
      const top = Math.max(...heights);
      const twins = heights.flatMap((height, state) => (height === top ? [state] : []));
      return {
        ...document,
        records: records.map((record) => {
          const at = twins.indexOf(record.state);
          return at < 0 ? record : { ...record, state: twins[(at + 1) % twins.length] };
        }),
      };
    });
    expect(stderr).toContain("CACHE_RECORD_REFUSED");
    expect(stderr).toContain("no step below it came to");
    expect(stderr).toMatch(/^#\d+ why: refused: /m);
    expect(said).toBe("right\n");
  });

  test("one that stands on another image", async () => {
    const { stderr, said, ran } = await buildWith(({ states, ...document }) => ({
      ...document,
      states: states.map((state) =>
        state.parent === undefined ? { ...state, diffId: digestOf("another base") } : state,
      ),
    }));
    expect(stderr).toContain("CACHE_RECORD_REFUSED");
    expect([said, ran]).toEqual(["right\n", 3]);
  });

  test("one that skips a step", async () => {
    const { stderr, said } = await buildWith(({ records, ...document }) => ({
      ...document,
      records: records.map((record) => ({
        ...record,
        state: document.states[record.state]?.parent ?? 0,
      })),
    }));
    expect(stderr).toContain("CACHE_RECORD_REFUSED");
    expect(said).toBe("right\n");
  });

  test("one for another platform", async () => {
    const { stderr, said, ran } = await buildWith(({ records, ...document }) => ({
      ...document,
      records: records.map((record) => ({ ...record, platform: "linux/riscv64" })),
    }));
    expect(stderr).toContain("it is for linux/riscv64");
    expect([said, ran]).toEqual(["right\n", 3]);
  });

  test("one whose layers nobody has", async () => {
    const { said, ran } = await buildWith((document) => ({ ...document, layers: [] }));
    expect([said, ran]).toEqual(["right\n", 3]);
  });
});

describe("a document that is no cache is a warning", () => {
  const hostile: Readonly<Record<string, (document: CacheDocument) => unknown>> = {
    huge: ({ states }) => ({
      version: 1,
      layers: [],
      records: [],
      states,
      x: "x".repeat(33 << 20),
    }),
    deep: () => `{"version":1,"states":${"[".repeat(1e6)}${"]".repeat(1e6)}}`,
    cyclic: ({ states, ...document }) => ({
      ...document,
      version: 1,
      states: states.map((state, index) => ({ ...state, parent: (index + 1) % states.length })),
    }),
    "of wrong types": () => ({ version: 1, layers: {}, states: "states", records: null }),
  };
  for (const [how, change] of Object.entries(hostile)) {
    test(how, async () => {
      const { stderr, said, ran } = await buildWith(change);
      expect(stderr).toContain("CACHE_NOT_IMPORTED");
      expect([said, ran]).toEqual(["right\n", 3]);
    });
  }
});
