import { chmodSync, readdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { setTimeout } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import {
  type BuildContext,
  openDirectoryContext,
  openStatCache,
  type StatCache,
} from "../../src/context/index.ts";
import type { ChainId, PlainFiles } from "../../src/core/index.ts";
import type { LocalTree } from "../../src/layer/index.ts";
import { openBuildHarness } from "../support/build-harness.ts";
import { expectCode } from "../support/expect-code.ts";
import { FakeSandbox } from "../support/fake-sandbox.ts";
import { versionsIn } from "../support/plain-files.ts";
import { makeContext, writeEntries } from "../support/setup-context.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const dockerfile = "FROM scratch\nCOPY app /app\n";
const other = "FROM scratch\nWORKDIR /other\n";

const makeFiles = async (): Promise<string> =>
  makeContext({ "app/a": "1", "app/deep/b": "2", "app/empty": "" });

async function openScene(
  directory: string,
  {
    onOpen,
    look = (plainFiles) => plainFiles(),
    statCache,
    layerDigests,
    sandbox = new FakeSandbox(),
  }: {
    readonly onOpen?: (path: string) => void;
    /** What is done when plain files are looked at. */
    readonly look?: (plainFiles: () => PlainFiles) => PlainFiles;
    readonly statCache?: StatCache;
    readonly layerDigests?: (chainId: ChainId) => Promise<StatCache>;
    readonly sandbox?: FakeSandbox;
  } = {},
) {
  const folder = await temporaryFolder();
  let opened: string[] = [];
  const harness = await openBuildHarness({
    directory: folder,
    sandbox,
    ...(statCache && { statCache }),
    ...(layerDigests && { layerDigests }),
    context: async () => {
      const context = await openDirectoryContext({ directory, statCache });
      const { local } = context;
      if (local === undefined) throw new Error("a directory answers at once");
      const told = (path: string): void => {
        opened.push(path);
        onOpen?.(path);
      };
      const open: LocalTree["open"] = (path, stat) => {
        told(path.toString());
        return local.open(path, stat);
      };
      const { plain } = local;
      if (plain === undefined) throw new Error("a directory has plain files");
      const toldPlain: LocalTree["plain"] = {
        next: (...place) => look(() => plain.next(...place)),
        open: (files, index, folder) => {
          told(relative(directory, files.pathOf(index)));
          return plain.open(files, index, folder);
        },
        counted: (files, index) => {
          plain.counted(files, index);
        },
      };
      const openFile: BuildContext["openFile"] = async (path) => {
        opened.push(path.toString());
        return context.openFile(path);
      };
      return withMember(
        withMember(
          context,
          "local",
          withMember(withMember(local, "open", open), "plain", toldPlain),
        ),
        "openFile",
        openFile,
      );
    },
  });
  onTestFinished(async () => harness.close());
  return {
    harness,
    /** Which files were opened since the last question. */
    opened: (): readonly string[] => {
      const names = opened;
      opened = [];
      return names.sort();
    },
  };
}

/** Methods run on `whole` itself, which has private fields. */
function withMember<Whole extends object, Name extends keyof Whole>(
  whole: Whole,
  name: Name,
  member: Whole[Name],
): Whole {
  return new Proxy(whole, {
    get: (target, asked) => {
      if (asked === name) return member;
      const value: unknown = Reflect.get(target, asked);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

test("a copy is known by the same keys, whether its files are counted before it or on the way", async () => {
  const files = await makeFiles();
  const [empty, used, asked] = [
    await openScene(files),
    await openScene(files),
    await openScene(files),
  ];
  const onTheWay = await empty.harness.build(dockerfile);
  expect(empty.opened()).toEqual(["app/a", "app/deep/b", "app/empty"]);
  await used.harness.build(other);
  const before = new Set((await used.harness.kept()).records);
  const counted = await used.harness.build(dockerfile);
  expect(used.opened()).toHaveLength(6);
  const withoutCache = await asked.harness.build(dockerfile, { noCache: true });
  expect(asked.opened()).toHaveLength(3);

  expect(onTheWay.targets[0]?.diffIds).toEqual(counted.targets[0]?.diffIds);
  expect(withoutCache.targets[0]?.diffIds).toEqual(counted.targets[0]?.diffIds);
  const { records } = await used.harness.kept();
  const ofCopy = records.filter((key) => !before.has(key));
  expect(ofCopy).toHaveLength(2);
  expect((await empty.harness.kept()).records).toEqual(ofCopy);
  expect((await asked.harness.kept()).records).toEqual(ofCopy);
});

test("a copy from a stage is known by the same keys, counted before or on the way, and its digests are remembered", async () => {
  const files = await makeFiles();
  symlinkSync("a", join(files, "app/link"));
  const lines = [
    "FROM scratch AS files",
    "COPY app /app",
    "FROM scratch",
    "COPY --from=files /app /copy",
  ];
  const copies = `${lines.join("\n")}\n`;
  const openStages = async () => {
    const folder = await temporaryFolder();
    /** How many steps had begun when the first digest of a file in the stage was known. */
    let begun: number | undefined;
    const scene = await openScene(files, {
      layerDigests: async (chainId) => {
        const digests = await openStatCache({ path: join(folder, chainId), tmpDir: folder });
        return withMember(digests, "set", (entry) => {
          begun ??= scene.harness.steps("step-started").length;
          digests.set(entry);
        });
      },
    });
    return { ...scene, begun: () => begun, remembered: () => readdirSync(folder) };
  };
  const [empty, used, ignoring] = [await openStages(), await openStages(), await openStages()];
  const onTheWay = await empty.harness.build(copies);
  await used.harness.build(other);
  const before = new Set((await used.harness.kept()).records);
  const counted = await used.harness.build(copies);
  const ignored = await ignoring.harness.build(copies, { noCache: true });

  expect([empty.begun(), used.begun(), ignoring.begun()]).toEqual([2, 1, 2]);
  for (const each of [onTheWay, ignored]) {
    expect(each.targets[0]?.diffIds).toEqual(counted.targets[0]?.diffIds);
  }
  const wanted = (await used.harness.kept()).records.filter((key) => !before.has(key));
  expect(wanted).toHaveLength(4);
  for (const { harness } of [empty, ignoring]) {
    expect((await harness.kept()).records).toEqual(wanted);
  }
  // Files that are as young as their digest are not trusted.
  await setTimeout(50);
  await ignoring.harness.build(copies, { noCache: true });
  expect(ignoring.remembered()).toHaveLength(1);
  await empty.harness.build(copies);
  expect(empty.harness.steps("step-started")).toEqual([]);
});

test("what was counted on the way is cached, and a changed file is named", async () => {
  const directory = await makeFiles();
  const { harness } = await openScene(directory);
  await harness.build(dockerfile);
  await harness.build(dockerfile);
  expect(harness.steps("step-started")).toEqual([]);
  await writeEntries(directory, { "app/deep/b": "3" });
  await harness.build(dockerfile);
  expect(harness.steps("step-started")).toEqual(["[1/1] COPY app /app"]);
});

test("no plain files are looked at once the layer is no tar", async () => {
  const names = ["a", "b", "c", "d", "e", "f"];
  const directory = await makeContext(
    Object.fromEntries(names.map((name) => [`app/${name}`, "1"])),
  );
  let looks = 0;
  const scene = await openScene(directory, {
    look: (plainFiles) => {
      looks++;
      return plainFiles();
    },
  });
  // No filesystem is sure to keep this mode: such a file is made before it is told.
  chmodSync(join(directory, "app/c"), 0o4755);
  await scene.harness.build(dockerfile);
  expect(scene.opened()).toHaveLength(2 * names.length - 2);
  // Behind `a`, and behind `b`, which ended before the one that no tar takes.
  expect(looks).toBe(2);
});

test.each([
  ["before", true],
  ["after", false],
])("a new file is remembered when time goes by %s it is looked at: %s", async (_when, isOld) => {
  const names = Array.from({ length: 70 }, (_, index) => `app/${String(100 + index)}`);
  const directory = await makeContext(Object.fromEntries(names.map((name) => [name, "1"])));
  const folder = await temporaryFolder();
  const statCache = await openStatCache({ path: join(folder, "digests"), tmpDir: folder });
  let found: PlainFiles | undefined;
  const { harness } = await openScene(directory, {
    statCache,
    look: (plainFiles) => {
      if (found !== undefined) return plainFiles();
      // The first one was looked at for itself.
      if (!isOld) for (const name of names.slice(1)) writeFileSync(join(directory, name), "2");
      found = plainFiles();
      if (!isOld) sleep();
      return found;
    },
  });
  if (isOld) sleep();
  await harness.build(dockerfile, { noCache: true });
  if (found === undefined) throw new Error("no plain files were looked for");
  expect(found).toHaveLength(64);
  const remembered = versionsIn(found).filter((file) => statCache.get(file) !== undefined);
  expect(remembered).toHaveLength(isOld ? 64 : 0);
});

/** Longer than a tick of the kernel, within which two versions may look the same. */
function sleep(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
}

test.each([
  ["something that stands on it", "FROM scratch\nCOPY app /app\nWORKDIR /app\n"],
  ["files that are left out", "FROM scratch\nCOPY --exclude=empty app /app\n"],
  ["more than one source", "FROM scratch\nCOPY app/a app/deep /app/\n"],
  ["paths that keep their parents", "FROM scratch\nCOPY --parents app /\n"],
])("%s: they are counted before", async (_why, text) => {
  const { harness, opened } = await openScene(await makeFiles());
  await harness.build(text);
  const names = opened();
  expect(names.length).toBeGreaterThan(0);
  expect(names.length).toBe(2 * new Set(names).size);
});

test("a file that goes while it is counted ends the build, and nothing is remembered", async () => {
  const directory = await makeFiles();
  const { harness, opened } = await openScene(directory, {
    onOpen: (path) => {
      if (path === "app/deep/b") rmSync(join(directory, path), { force: true });
    },
  });
  const { snapshots } = await harness.kept();
  await expectCode(harness.build(dockerfile), "CONTEXT_UNREADABLE");
  expect(opened()).toContain("app/deep/b");
  expect(await harness.kept()).toEqual({ snapshots, records: [] });
});

test.each([
  ["a source that is not there", "COPY nothing /app", "CONTEXT_SOURCE_NOT_FOUND"],
  ["one of several", "COPY app/a nothing /app/", "CONTEXT_SOURCE_NOT_FOUND"],
  ["a pattern that is none", "COPY [ /app", "CONTEXT_PATTERN_INVALID"],
])("%s is told before the steps above the copy run", async (_what, copy, code) => {
  const sandbox = new FakeSandbox({ answer: () => ({}) });
  const { harness } = await openScene(await makeFiles(), { sandbox });
  const text = `FROM scratch\nCOPY app/a /a\nRUN ["make"]\n${copy}\n`;
  await expectCode(harness.build(text), code);
  await expectCode(harness.build(text, { noCache: true }), code);
  expect(sandbox.commands).toEqual([]);
});

test("a directory that goes while the steps before its copy run is named", async () => {
  const directory = await makeFiles();
  const sandbox = new FakeSandbox();
  const { harness } = await openScene(directory, { sandbox });
  const building = harness.build('FROM scratch\nCOPY app/a /a\nRUN ["make"]\nCOPY app /app\n');
  await sandbox.started("make");
  rmSync(join(directory, "app"), { recursive: true });
  await sandbox.finish("make");
  await expectCode(building, "CONTEXT_SOURCE_NOT_FOUND");
});

test.each([false, true])(
  "of equal copies on equal bases one runs, and the other one is cached (noCache: %s)",
  async (noCache) => {
    const directory = await makeContext({ "for-amd64": "1", "for-arm64": "1", "app/a": "2" });
    for (const name of ["for-amd64", "for-arm64"]) utimesSync(join(directory, name), 1000, 1000);
    const { harness, opened } = await openScene(directory);
    const platforms = ["amd64", "arm64"].map((architecture) => ({ os: "linux", architecture }));
    const text = "FROM scratch\nARG TARGETARCH\nCOPY for-$TARGETARCH /f\nCOPY app /app\n";
    const built = await harness.build(text, { noCache, planning: { platforms } });
    expect(built.targets).toHaveLength(2);
    expect(built.targets[0]?.chainId).toBe(built.targets[1]?.chainId);
    const copies = built.steps.filter(({ name }) => name.endsWith("COPY app /app"));
    expect(copies.map(({ outcome }) => outcome).sort()).toEqual(["cached", "ran"]);
    expect(opened().filter((path) => path === "app/a").length).toBeLessThanOrEqual(2);
  },
);
