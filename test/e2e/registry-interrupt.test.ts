import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Descriptor } from "../../src/image/index.ts";
import { openFaultyProxy, type FaultyProxy, type ProxyRequest } from "../support/faulty-proxy.ts";
import { startCli, type CliResult } from "../support/cli.ts";
import { makeRandomImage, type RandomSingleImage } from "../support/random-image.ts";
import { openTestRepository, pushContent } from "../support/registry-scenes.ts";
import { useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace();
const { cli, expectCli } = workspace;

const layerSize = 12_000_000;
/** Where transfers are held while the command is told to end. */
const halfway = 7_000_000;

const patience = { timeout: 300_000, interval: 20 };

let proxy: FaultyProxy;
let image: RandomSingleImage;

beforeAll(async () => {
  proxy = await openFaultyProxy(workspace.registry.host);
  image = await makeRandomImage({ seed: "interrupted", layers: 1, layerSize, compression: "none" });
});

afterAll(async () => {
  await proxy.close();
});

// What the registry does with the word is its own business: docker-registry keeps an upload whose state it has not told
// until its next purge.
test("a push that is interrupted tells the registry, and the next one completes [R7.15]", async () => {
  const root = await workspace.freshRoot();
  const { layer } = await given("pushed");
  const from = `${workspace.registry.host}/pushed:1`;
  const target = `${proxy.host}/pushed-copy:1`;
  await expectCli(["pull", from], { root });
  await expectCli(["tag", from, target], { root });
  const result = await interrupt(["push", target], {
    signal: "SIGINT",
    root,
    type: "hold-request",
    isHeld: ({ method, path }) => method.startsWith("P") && path.includes("/blobs/uploads/"),
  });
  expect([result.code, result.stdout]).toEqual([130, ""]);
  expect(await readdir(join(root, "tmp"))).toEqual([]);
  const { path: held = "" } =
    proxy.met.find(({ path }) => path.includes(layer.digest.slice(7))) ?? {};
  const upload = held.split("?")[0];
  const canceled = proxy.seen.filter(({ method }) => method === "DELETE");
  expect(canceled.map(({ path }) => path.split("?")[0])).toContain(upload);
  expect((await cli(["pull", target], { root: await workspace.freshRoot() })).code).toBe(1);
  await expectCli(["push", target], { root });
  await expectCli(["pull", target], { root: await workspace.freshRoot() });
});

describe("a pull that is interrupted", () => {
  test.for(["SIGINT", "SIGKILL"] as const)(
    "by %s goes on where it was, and leaves nothing else behind [R4.18, R4.19]",
    async (signal) => {
      const { name, layer } = await given(signal.toLowerCase());
      const root = await workspace.freshRoot();
      const result = await interrupt(["pull", name], {
        signal,
        root,
        type: "hold-answer",
        isHeld: ({ method, path }) => method === "GET" && path.endsWith(layer.digest),
        until: async () => (await sizeInProgress(root)) > halfway - 2_000_000,
      });
      expect(result.code).toBe(signal === "SIGINT" ? 130 : 137);
      expect((await expectCli(["images", "-q"], { root })).stdout).toBe("");
      expect(await readdir(join(root, "blobs/sha256"))).not.toContain(layer.digest.slice(7));
      const before = proxy.seen.length;
      await expectCli(["pull", name], { root });
      const [range, ...more] = beginningsOf(layer, before);
      expect(more).toEqual([]);
      expect(range).toBeGreaterThan(halfway - 2_000_000);
      expect(range).toBeLessThanOrEqual(halfway);
      expect((await stat(join(root, "blobs/sha256", layer.digest.slice(7)))).size).toBe(layer.size);
      expect(await readdir(join(root, "partial"))).toEqual([]);
      expect(await readdir(join(root, "tmp"))).toEqual([]);
    },
  );

  test("is forgotten by a prune [R4.18]", async () => {
    const { name, layer } = await given("pruned");
    const root = await workspace.freshRoot();
    await interrupt(["pull", name], {
      signal: "SIGINT",
      root,
      type: "hold-answer",
      isHeld: ({ method, path }) => method === "GET" && path.endsWith(layer.digest),
      until: async () => (await sizeInProgress(root)) > halfway - 2_000_000,
    });
    expect(await readdir(join(root, "partial"))).toHaveLength(1);
    await expectCli(["system", "prune"], { root });
    expect(await readdir(join(root, "partial"))).toEqual([]);
  });
});

describe("the layers of a base, which a build fetches,", () => {
  test("come to their end over a connection that breaks [R4.18]", async () => {
    const { name, layer } = await given("base-cut");
    const root = await workspace.freshRoot();
    const cuts = [5_000_000, 3_000_000];
    proxy.choose = (request) => {
      const after = isOf(layer)(request) ? cuts.shift() : undefined;
      return after === undefined ? undefined : { type: "cut-answer", after };
    };
    const before = proxy.seen.length;
    await buildOn(name, root);
    proxy.choose = () => undefined;
    const [first, second, third, ...more] = beginningsOf(layer, before);
    expect([first, cuts.length, more.length]).toEqual([0, 0, 0]);
    // What the cut caught on its way may be missing.
    expect(second).toBeGreaterThan(4_000_000);
    expect(second).toBeLessThanOrEqual(5_000_000);
    expect(third).toBeGreaterThan(6_000_000);
    expect(third).toBeLessThanOrEqual(8_000_000);
  });

  test("go on behind what a build kept that gave up [R4.18]", async () => {
    const { name, layer } = await given("base-away");
    const root = await workspace.freshRoot();
    let isAway = false;
    proxy.choose = (request) => {
      if (!isOf(layer)(request)) return undefined;
      if (isAway) return { type: "status", status: 503 };
      isAway = true;
      return { type: "cut-answer", after: halfway };
    };
    expect((await cli(buildArgs(await folderOn(name)), { root })).code).toBe(1);
    proxy.choose = () => undefined;
    expect(await readdir(join(root, "partial"))).toEqual([layer.digest.replace(":", "-")]);
    await expectGoingOn({ name, layer, root });
  });

  test.for(["SIGINT", "SIGKILL"] as const)(
    "go on where %s ended a build [R4.18]",
    async (signal) => {
      const { name, layer } = await given(`base-${signal.toLowerCase()}`);
      const root = await workspace.freshRoot();
      await interrupt(buildArgs(await folderOn(name)), {
        ...{ signal, root, type: "hold-answer", isHeld: isOf(layer) },
        until: async () => (await sizeInProgress(root)) > halfway - 2_000_000,
      });
      await expectGoingOn({ name, layer, root });
    },
  );
});

/** The image in a repository of its own. */
async function given(path: string) {
  const sink = openTestRepository(workspace.registry.host, { path, access: "push" });
  await pushContent(sink, image, "1");
  const [layer = image.root] = image.manifest.layers;
  return { name: `${proxy.host}/${path}:1`, layer };
}

const isOf =
  (layer: Descriptor) =>
  ({ method, path }: ProxyRequest): boolean =>
    method === "GET" && path.endsWith(layer.digest);

/** From where on the layer was asked for, in requests behind the first `before`. */
function beginningsOf(layer: Descriptor, before: number): readonly number[] {
  return proxy.seen
    .slice(before)
    .filter(isOf(layer))
    .map((request) => Number(/^bytes=(\d+)-$/.exec(request.range ?? "")?.[1] ?? 0));
}

/** A context whose build reads files of the base. */
async function folderOn(base: string): Promise<string> {
  return workspace.context({ Dockerfile: `FROM ${base}\nCOPY Dockerfile /copied/\n` });
}

const buildArgs = (folder: string): readonly string[] => ["build", "-t", "on:1", folder];

async function buildOn(base: string, root: string): Promise<void> {
  await expectCli(buildArgs(await folderOn(base)), { root });
}

/** Builds on the base, and sees one request for what was missing. */
async function expectGoingOn(about: {
  readonly name: string;
  readonly layer: Descriptor;
  readonly root: string;
}): Promise<void> {
  const { name, layer, root } = about;
  const before = proxy.seen.length;
  await buildOn(name, root);
  const [beginning, ...more] = beginningsOf(layer, before);
  expect(more).toEqual([]);
  expect(beginning).toBeGreaterThan(halfway - 2_000_000);
  expect(beginning).toBeLessThanOrEqual(halfway);
  expect((await stat(join(root, "blobs/sha256", layer.digest.slice(7)))).size).toBe(layer.size);
  expect(await readdir(join(root, "partial"))).toEqual([]);
  expect(await readdir(join(root, "tmp"))).toEqual([]);
}

/** Runs a command and sends it a signal when one of its transfers is held halfway. */
async function interrupt(
  args: readonly string[],
  about: {
    readonly signal: NodeJS.Signals;
    readonly root: string;
    readonly type: "hold-request" | "hold-answer";
    readonly isHeld: (request: ProxyRequest) => boolean;
    /** What has to be true besides. */
    readonly until?: () => Promise<boolean>;
  },
): Promise<CliResult> {
  const { root, type, signal, until = () => Promise.resolve(true) } = about;
  let isReached = false;
  const onHeld = (): void => void (isReached = true);
  proxy.choose = (request) =>
    about.isHeld(request) ? { type, after: halfway, onHeld } : undefined;
  const running = startCli(args, { root });
  await Promise.race([
    vi.waitUntil(async () => isReached && (await until()), patience),
    running.done.then(({ stderr }) => Promise.reject(new Error(`it ended by itself: ${stderr}`))),
  ]);
  running.process.kill(signal);
  const result = await running.done;
  proxy.choose = () => undefined;
  return result;
}

/** Bytes of the largest blob that is being written. */
async function sizeInProgress(root: string): Promise<number> {
  const names = await readdir(join(root, "tmp"), { recursive: true });
  const sizes = names
    .filter((name) => name.includes("/blob-"))
    .map(async (name) =>
      stat(join(root, "tmp", name)).then(
        ({ size }) => size,
        () => 0,
      ),
    );
  return Math.max(0, ...(await Promise.all(sizes)));
}
