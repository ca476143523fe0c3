import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { openDirectoryContext } from "../../src/context/index.ts";
import { toRootPath } from "../../src/layer/index.ts";
import { openBuildHarness } from "../support/build-harness.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

test("what USER, WORKDIR, --chown and --from say arrives in the layers [3.49, 3.57, 3.58, 3.76]", async () => {
  const directory = await temporaryFolder();
  const files = join(directory, "context");
  mkdirSync(join(files, "src/deep"), { recursive: true });
  writeFileSync(join(files, "src/deep/main"), "m");
  writeFileSync(join(files, "src/main"), "m", { mode: 0o640 });
  symlinkSync("src/main", join(files, "entry"));
  const harness = await openBuildHarness({
    directory,
    context: async () => openDirectoryContext({ directory: files }),
  });
  onTestFinished(async () => harness.close());
  const built = await harness.build(
    [
      "FROM base AS first",
      "USER bob",
      "WORKDIR /work/area",
      "COPY --chown=bob src .",
      "FROM base",
      "WORKDIR /app",
      "COPY entry ./",
      "COPY --from=first /work /kept",
      "COPY --from=first --chown=7 /work/area/main /app/../own",
      "COPY --parents src/./deep/main .",
      "COPY <<one <<two /etc/conf.d/",
      "1",
      "one",
      "2",
      "two",
      "",
    ].join("\n"),
  );
  const tree = await harness.environment.snapshots.tree(built.targets[0]?.chainId);
  const look = async (path: string): Promise<string | undefined> => {
    const stat = await tree.lstat(toRootPath(path));
    return stat && `${stat.type} ${stat.mode.toString(8)} ${String(stat.uid)}:${String(stat.gid)}`;
  };
  const paths = [
    "app/entry",
    "kept/area",
    "kept/area/main",
    "own",
    "app/deep/main",
    "etc/conf.d/two",
  ];
  expect(await Promise.all(paths.map(look))).toEqual([
    "file 640 0:0",
    "directory 755 1000:1000",
    "file 640 1000:1000",
    "file 640 7:7",
    "file 644 0:0",
    "file 644 0:0",
  ]);
});
