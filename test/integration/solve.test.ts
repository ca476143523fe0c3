import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parseImageConfig } from "../../src/image/index.ts";
import { toRootPath } from "../../src/layer/index.ts";
import { openBuildHarness, type BuildHarness } from "../support/build-harness.ts";

let directory: string;
let harness: BuildHarness;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tsbuild-solve-"));
  harness = await openBuildHarness({ directory });
});

afterEach(async () => {
  await harness.close();
  await rm(directory, { recursive: true, force: true });
});

async function read(chain: unknown, path: string): Promise<string> {
  const tree = await harness.environment.snapshots.tree(chain as never);
  const opened = await tree.openFile(toRootPath(path));
  const { readSync } = await import("node:fs");
  const bytes = Buffer.alloc(opened.size);
  readSync(opened.fd, bytes, 0, opened.size, 0);
  await opened.close();
  return bytes.toString();
}

test("RUN changes files, a second build runs nothing, the config stays the same", async () => {
  const dockerfile = "FROM base\nWORKDIR /app\nRUN echo hello > greeting\nCMD cat greeting\n";
  const first = await harness.build(dockerfile);
  expect(await read(first.targets[0]?.chainId, "app/greeting")).toBe("hello\n");
  expect(harness.steps("step-started")).toEqual([
    "[2/3] WORKDIR /app",
    "[3/3] RUN echo hello > greeting",
  ]);
  const second = await harness.build(dockerfile);
  expect(harness.steps("step-started")).toEqual([]);
  expect(second.config.toString()).toBe(first.config.toString());
  const config = parseImageConfig(first.config);
  expect(config.history.map((entry) => [entry.createdBy, entry.emptyLayer ?? false])).toEqual([
    ["base", false],
    ["WORKDIR /app", false],
    ["RUN /bin/sh -c echo hello > greeting # buildkit", false],
    ['CMD ["/bin/sh" "-c" "cat greeting"]', true],
  ]);
  expect(config.diffIds).toHaveLength(3);
});
