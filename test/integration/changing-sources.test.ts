import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  createReadStream,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { openDirectoryContext, openStatCache } from "../../src/context/index.ts";
import { digestOf, isTsbuildError } from "../../src/core/index.ts";
import { toRootPath, type MergedTree } from "../../src/layer/index.ts";
import { attackedContext, type Moment } from "../support/attacked-context.ts";
import { openBuildHarness, type Built } from "../support/build-harness.ts";
import { makeCanary } from "../support/canary.ts";
import { FakeSandbox } from "../support/fake-sandbox.ts";
import { tarDigestOf } from "../support/layer-source.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const moments: readonly Moment[] = [
  "before the checksum",
  "during the checksum",
  "between checksum and copy",
  "during the copy",
  "after the copy",
];

/** What happens to the file `d/secret` of a context; `outside` is a directory that has one of that name too. */
const attacks = {
  "is truncated": ({ file }) => truncateSync(file, 1),
  "is emptied": ({ file }) => truncateSync(file, 0),
  grows: ({ file }) => appendFileSync(file, "more"),
  "is rewritten in place, size and time as before": ({ file }) => {
    const { size, atime, mtime } = statSync(file);
    writeFileSync(file, Buffer.alloc(size, "n"));
    utimesSync(file, atime, mtime);
  },
  "is replaced by rename": ({ file }) => {
    writeFileSync(`${file}.new`, Buffer.alloc(statSync(file).size, "n"));
    renameSync(`${file}.new`, file);
  },
  "is unlinked": ({ file }) => unlinkSync(file),
  "becomes a symlink out of the context": ({ file, outside }) => {
    unlinkSync(file);
    symlinkSync(join(outside, "secret"), file);
  },
  "becomes a FIFO": ({ file }) => {
    unlinkSync(file);
    execFileSync("mkfifo", [file]);
  },
  "becomes a directory": ({ file }) => {
    unlinkSync(file);
    mkdirSync(file);
  },
  "loses its directory": ({ directory }) => renameSync(directory, `${directory}.away`),
  "has its directory exchanged for a symlink out of the context": ({ directory, outside }) => {
    renameSync(directory, `${directory}.away`);
    symlinkSync(outside, directory);
  },
} satisfies Record<string, (place: Place) => void>;

type Way = (typeof ways)[number];

interface Place {
  readonly directory: string;
  readonly file: string;
  readonly outside: string;
}

/** A small file is read in one piece, a large one by the kernel on another thread. */
const sizes = { small: 3000, large: 3_000_000 } as const;

/** In an empty cache nothing can be found, so files are counted while they are copied; small ones are opened once then. */
const ways = ["counted before", "counted on the way"] as const;

const rows = ways.flatMap((way) =>
  Object.keys(sizes).flatMap((size) =>
    moments
      .filter((moment) => way === "counted before" || size === "large" || isOfCount(moment))
      .flatMap((moment) =>
        Object.keys(attacks).map((attack) => ({ way, size, moment, attack }) as Row),
      ),
  ),
);

function isOfCount(moment: Moment): boolean {
  return moment !== "during the copy" && moment !== "after the copy";
}

interface Row {
  readonly way: Way;
  readonly size: keyof typeof sizes;
  readonly moment: Moment;
  readonly attack: keyof typeof attacks;
}

const honestFailures = [
  "CONTEXT_FILE_CHANGED",
  "CONTEXT_UNREADABLE",
  "CONTEXT_SOURCE_NOT_FOUND",
  "SNAPSHOT_SOURCE_CHANGED",
] as const;

test.each(rows)("a $size file, $way, $attack $moment", async ({ way, size, moment, attack }) => {
  const scene = await openScene(sizes[size], way);
  const { place, old, canary } = scene;
  const first = await scene
    .build({ path: "d/secret", moment, attack: () => attacks[attack](place) })
    .catch((error: unknown) => error);
  expect(scene.wasAttacked()).toBe(true);
  canary.expectUntouched();

  if (first instanceof Error) {
    if (!isTsbuildError(first)) throw first;
    expect(honestFailures).toContain(first.code);
    expect(first.message).toMatch(/\bd\b/);
  } else {
    await scene.expectTrueDigests(first as Built);
    // One version or the other as a whole, never a piece of each and nothing from elsewhere.
    expect([old, scene.now()].map(told)).toContain(told(await scene.contentOf(first as Built)));
  }

  // What was remembered of the attacked build must not be what the next one gives.
  const second = await scene.build().catch((error: unknown) => error);
  const now = scene.now();
  if (now === undefined) return;
  if (second instanceof Error) throw second;
  expect(told(await scene.contentOf(second as Built))).toBe(told(now));
  canary.expectUntouched();
});

const smallRows = rows.filter(({ size, attack }) => size === "small" && attack === "grows");

test.each(smallRows)(
  "a file that comes $moment is not remembered as if it had been counted, when they are $way",
  async ({ way, moment }) => {
    const scene = await openScene(sizes.small, way);
    const added = join(scene.place.directory, "zz");
    const path = "d/secret";
    const first = await scene.build({ path, moment, attack: () => writeFileSync(added, "new") });
    expect(scene.wasAttacked()).toBe(true);
    await scene.expectTrueDigests(first);
    unlinkSync(added);
    const second = await scene.build();
    expect(await scene.namesIn(second)).toEqual(["secret"]);
  },
);

test.each(smallRows)(
  "a file that goes $moment is not remembered as if it had stayed, when they are $way",
  async ({ way, moment }) => {
    const scene = await openScene(sizes.small, way);
    const { file } = scene.place;
    const plan = { path: "d/secret", moment, attack: () => unlinkSync(file) };
    await scene.build(plan).catch((error: unknown) => {
      expect(isTsbuildError(error) && honestFailures.includes(error.code as never)).toBe(true);
    });
    writeFileSync(file, scene.old);
    expect(told(await scene.contentOf(await scene.build()))).toBe(told(scene.old));
  },
);

test("a symlink that leads elsewhere when it is copied is a changed file", async () => {
  const scene = await openScene(sizes.small, "counted before");
  const link = join(scene.place.directory, "a-link");
  symlinkSync("one", link);
  const attack = (): void => {
    unlinkSync(link);
    symlinkSync("two", link);
  };
  const plan = { path: "d/secret", moment: "between checksum and copy", attack } as const;
  await expect(scene.build(plan)).rejects.toMatchObject({ code: "CONTEXT_FILE_CHANGED" });
  expect(await scene.namesIn(await scene.build())).toEqual(["a-link", "secret"]);
});

/** Content in few words: its size, how it begins and ends, its digest. */
function told(content: Buffer | undefined): string {
  if (content === undefined) return "no file";
  const text = content.toString("latin1");
  return `${String(content.length)}: ${text.slice(0, 4)}…${text.slice(-4)} ${digestOf(content)}`;
}

async function openScene(size: number, way: Way) {
  const folder = await temporaryFolder();
  const directory = join(folder, "context", "d");
  const file = join(directory, "secret");
  mkdirSync(directory, { recursive: true });
  const old = Buffer.alloc(size, "o");
  writeFileSync(file, old);
  const canary = makeCanary(join(folder, "outside"));
  const place: Place = { directory, file, outside: canary.directory };
  let plan: Parameters<typeof attackedContext>[1] | undefined;
  let wasAttacked = (): boolean => false;
  const statCache = await openStatCache({ path: join(folder, "stats"), tmpDir: folder });
  const harness = await openBuildHarness({
    directory: folder,
    statCache,
    sandbox: new FakeSandbox(),
    context: async () => {
      const context = await openDirectoryContext({ directory: join(folder, "context") });
      if (plan === undefined) return context;
      const attacked = attackedContext(context, plan);
      wasAttacked = attacked.wasAttacked;
      return attacked;
    },
  });
  onTestFinished(async () => harness.close());
  if (way === "counted before") await harness.build("FROM scratch\nWORKDIR /other\n");
  const { snapshots } = harness.environment;
  return {
    place,
    old,
    canary,
    wasAttacked: () => wasAttacked(),
    build: async (attack?: typeof plan): Promise<Built> => {
      plan = attack;
      return harness.build("FROM scratch\nCOPY d /d\n");
    },
    contentOf: async (built: Built): Promise<Buffer | undefined> =>
      readFrom(await snapshots.tree(built.targets[0]?.chainId), "d/secret"),
    namesIn: async (built: Built): Promise<readonly string[]> => {
      const tree = await snapshots.tree(built.targets[0]?.chainId);
      return (await tree.readdir(toRootPath("d"))).map(String);
    },
    /** What the context has now; undefined unless it is a file. */
    now: (): Buffer | undefined => readPlain(place),
    expectTrueDigests: async (built: Built): Promise<void> => {
      const { chainId } = built.targets[0] ?? {};
      if (chainId === undefined) throw new Error("nothing was built");
      for (const { chainId: id, diffId } of await snapshots.chain(chainId))
        expect((await tarDigestOf(snapshots.diff(id))).digest).toBe(diffId);
    },
  };
}

async function readFrom(tree: MergedTree, path: string): Promise<Buffer | undefined> {
  const found = toRootPath(path);
  if ((await tree.lstat(found))?.type !== "file") return undefined;
  const opened = await tree.openFile(found);
  const content = buffer(createReadStream("", { fd: opened.fd, autoClose: false, start: 0 }));
  return content.finally(async () => opened.close());
}

function readPlain({ directory, file }: Place): Buffer | undefined {
  const isPlain =
    lstatSync(directory, { throwIfNoEntry: false })?.isDirectory() === true &&
    lstatSync(file, { throwIfNoEntry: false })?.isFile() === true;
  return isPlain ? readFileSync(file) : undefined;
}
