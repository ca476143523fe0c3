import { chmod, mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, test, vi } from "vitest";
import { openDirectoryContext } from "../../src/context/index.ts";
import {
  openWaitingBuild,
  type BuildHarness,
  type Built,
  type BuildRequest,
} from "../support/build-harness.ts";
import { pseudoRandom } from "../support/random.ts";
import { makeContext } from "../support/setup-context.ts";

vi.setConfig({ testTimeout: 120_000 });

const files = {
  "package.json": "{}",
  "src/a.ts": "1",
  "src/b.ts": "2",
  "src/deep/c.ts": "3",
  "notes/n": "4",
};

const dockerfile = [
  "FROM base AS build",
  "ARG VERSION=1",
  "ENV LEVEL=low",
  "COPY package.json ./",
  "RUN install",
  "COPY src/ /src/",
  "RUN compile",
  "FROM base",
  "COPY --from=build /out /app",
  "RUN check",
].join("\n");

async function open() {
  const directory = await makeContext(files);
  const { harness } = await openWaitingBuild({
    // What a step makes depends on the step alone: what follows is known by content.
    answer: (command) => ({
      write: { [/\bcompile\b/.test(command) ? "out/file" : command]: command },
    }),
    context: () => openDirectoryContext({ directory }),
  });
  return { directory, harness };
}

/** `name: why` of every step that ran. */
function reasons({ events }: BuildHarness): readonly string[] {
  return events.flatMap((event) =>
    event.type === "step-started" ? [`${event.name}: ${event.why ?? "-"}`] : [],
  );
}

/** A change of the Dockerfile, of the context (a file, and its new content), or of the request. */
interface Mutation {
  readonly edit?: readonly [string, string];
  readonly files?: Readonly<Record<string, string | undefined>>;
  readonly modes?: Readonly<Record<string, number>>;
  readonly request?: BuildRequest;
}

async function mutate(
  directory: string,
  { files: changed = {}, modes = {} }: Mutation,
): Promise<void> {
  for (const [path, content] of Object.entries(changed)) {
    const place = join(directory, path);
    await rm(place, { force: true, recursive: true });
    if (content === undefined) continue;
    await mkdir(dirname(place), { recursive: true });
    await writeFile(place, content);
  }
  for (const [path, mode] of Object.entries(modes)) await chmod(join(directory, path), mode);
}

test("the first time, that is the reason", async () => {
  const { harness } = await open();
  await harness.build("FROM base\nRUN one\nWORKDIR /x\n");
  expect(reasons(harness)).toEqual(["[2/3] RUN one: first time", "[3/3] WORKDIR /x: first time"]);
});

test.for<[string, Mutation]>([
  ["nothing", {}],
  ["a file that is copied", { files: { "package.json": "{1}" } }],
  ["one of several files", { files: { "src/b.ts": "22" } }],
  ["a file more", { files: { "src/b2.ts": "5" } }],
  ["a file less", { files: { "src/deep": undefined } }],
  ["a mode", { modes: { "src/a.ts": 0o755 } }],
  ["a file in the place of a folder", { files: { "src/deep": "file" } }],
  ["a file that is renamed", { files: { "src/a.ts": undefined, "src/z.ts": "1" } }],
  ["many files", { files: { "src/1": "", "src/2": "", "src/3": "", "src/4": "", "src/5": "" } }],
  ["a file that nothing copies", { files: { "notes/n": "5" } }],
  ["a command", { edit: ["RUN compile", "RUN compile -O2"] }],
  ["an instruction more", { edit: ["RUN install", "RUN prepare\nRUN install"] }],
  ["an instruction less", { edit: ["RUN install\n", ""] }],
  ["a source of COPY", { edit: ["COPY src/ /src/", "COPY src /source/"] }],
  ["an ARG's default", { edit: ["VERSION=1", "VERSION=2"] }],
  ["--build-arg", { request: { buildArgs: { VERSION: "3" } } }],
  ["an ENV", { edit: ["LEVEL=low", "LEVEL=high"] }],
  ["an ENV more", { edit: ["ENV LEVEL=low", "ENV LEVEL=low MORE=yes"] }],
  ["an ENV less", { edit: ["ENV LEVEL=low\n", ""] }],
  ["WORKDIR", { edit: ["RUN compile", "WORKDIR /src\nRUN compile"] }],
  ["USER", { edit: ["RUN compile", "USER 5\nRUN compile"] }],
  ["SHELL", { edit: ["RUN compile", 'SHELL ["/bin/sh", "-ec"]\nRUN compile'] }],
  ["--network", { edit: ["RUN compile", "RUN --network=none compile"] }],
  ["a mount", { edit: ["RUN compile", "RUN --mount=type=tmpfs,target=/t compile"] }],
  ["--chown", { edit: ["COPY src/", "COPY --chown=5 src/"] }],
  ["the base of one stage", { edit: ["FROM base AS build", "FROM scratch AS build"] }],
  ["a heredoc", { edit: ["RUN install", "RUN <<EOF\ninstall\nEOF"] }],
  ["--no-cache", { request: { noCache: true } }],
  ["--no-cache-filter", { request: { noCache: ["build"] } }],
  ["a comment", { edit: ["RUN compile", "# why\nRUN compile"] }],
])("%s", async ([, mutation]) => {
  const { directory, harness } = await open();
  await harness.build(dockerfile);
  await mutate(directory, mutation);
  const [from, to] = mutation.edit ?? ["", ""];
  await harness.build(dockerfile.replace(from, to), mutation.request);
  expect(reasons(harness).join("\n")).toMatchSnapshot();
});

/** Makes the cache forget the steps whose names end so. */
async function forget({ environment }: BuildHarness, steps: Built["steps"], ...ends: string[]) {
  for (const { name, key, content } of steps) {
    if (!ends.some((end) => name.endsWith(end))) continue;
    for (const each of [key, content ?? key]) await environment.cache.remove(each);
  }
}

test("what was pruned is told as evicted", async () => {
  const { harness } = await open();
  const { steps } = await harness.build(dockerfile);
  await forget(harness, steps, "RUN install", "RUN check");
  await harness.build(dockerfile);
  expect(reasons(harness)).toMatchSnapshot();
});

test("an old build says what it knew when the files were counted by definition only", async () => {
  const { directory, harness } = await open();
  await harness.build(dockerfile);
  // All from the cache: the record of this build knows no keys by content.
  await harness.build(dockerfile);
  await mutate(directory, { files: { "src/b.ts": "22" } });
  await harness.build(dockerfile);
  expect(reasons(harness)).toMatchSnapshot();
});

test("what a step copies is looked at although it is defined as before", async () => {
  let made = 0;
  const { harness } = await openWaitingBuild({
    answer: (command) => ({ write: { [command]: String((made += 1)) } }),
  });
  const text = "FROM base AS a\nRUN one\nRUN two\nFROM base\nCOPY --from=a /two /two\nRUN three\n";
  await harness.build(text);
  await harness.build(text, { noCache: ["a"] });
  expect(reasons(harness)).toEqual([
    "[a 2/3] RUN one: asked to run again",
    "[a 3/3] RUN two: asked to run again",
    "[stage-1 2/3] COPY --from=a /two /two: two: content changed; from [a 3/3] RUN two",
    "[stage-1 3/3] RUN three: two: content changed; from [a 3/3] RUN two; by [stage-1 2/3] COPY --from=a /two /two",
  ]);
});

test("a build does not fail of old keys and records that cannot be read", async () => {
  const { directory, harness } = await open();
  await harness.build(dockerfile);
  const { cache } = harness.environment;
  const explain = vi.spyOn(cache, "explain").mockRejectedValue(new Error("EIO"));
  await mutate(directory, { files: { "package.json": "{1}" } });
  await harness.build(dockerfile);
  expect(explain).toHaveBeenCalled();
  expect(reasons(harness)[0]).toContain("something changed");
});

test("where the old key was pruned, nobody can tell", async () => {
  const { directory, harness } = await open();
  const { steps } = await harness.build(dockerfile);
  await forget(harness, steps, "");
  await mutate(directory, { files: { "package.json": "{1}" } });
  await harness.build(dockerfile);
  expect(reasons(harness)[0]).toMatchInlineSnapshot(
    `"[build 2/5] COPY package.json ./: something changed, but what the last build was made of is not kept any more"`,
  );
});

/** Mutated builds in a row; TSBUILD_EXPLAIN_ROUNDS=1000 for a thousand. */
const rounds = Number(process.env["TSBUILD_EXPLAIN_ROUNDS"] ?? 60);

test("whatever is changed, no other cause is named", async () => {
  const random = pseudoRandom(Number(process.env["TSBUILD_EXPLAIN_SEED"] ?? 1));
  const { directory, harness } = await open();
  const state = { level: 0, version: 0, flags: 0, extra: false, mode: false, more: false };
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const kinds: readonly (() => Promise<RegExp>)[] = [
    async () => {
      const path = pick(["package.json", "src/a.ts", "src/b.ts", "src/deep/c.ts"]);
      // Never the content that was there before: else nothing would be changed.
      await mutate(directory, { files: { [path]: `${String(random())}\n` } });
      // A file that is written anew gets its usual mode back.
      if (path === "src/a.ts") state.mode = false;
      return new RegExp(`${path}: (?:content changed|mode \\d+ -> \\d+)`);
    },
    async () => {
      state.more = !state.more;
      await mutate(directory, { files: { "src/more.ts": state.more ? "more" : undefined } });
      return state.more ? /src\/more\.ts: added/ : /src\/more\.ts: removed/;
    },
    async () => {
      state.mode = !state.mode;
      await mutate(directory, { modes: { "src/a.ts": state.mode ? 0o755 : 0o644 } });
      return /src\/a\.ts: mode/;
    },
    async () => {
      state.level += 1;
      return /ARG or ENV LEVEL changed/;
    },
    async () => {
      state.version += 1;
      return /ARG or ENV VERSION changed/;
    },
    async () => {
      state.flags += 1;
      return /instruction changed, it was: RUN compile|out\/file: content changed/;
    },
    async () => {
      state.extra = !state.extra;
      return state.extra ? /new since the last build/ : /RUN prepare is gone/;
    },
    async () => {
      await mutate(directory, { files: { "notes/n": String(random()) } });
      return /nothing may run/;
    },
  ];
  const text = (): string =>
    dockerfile
      .replace("LEVEL=low", `LEVEL=${String(state.level)}`)
      .replace("RUN compile", `RUN compile ${String(state.flags)}`)
      .replace("RUN install", state.extra ? "RUN prepare\nRUN install" : "RUN install");
  const request = (): BuildRequest => ({ buildArgs: { VERSION: String(state.version) } });
  await harness.build(text(), request());
  let explained = 0;
  for (let round = 0; round < rounds; round += 1) {
    const expected = await pick(kinds)();
    await harness.build(text(), request());
    for (const reason of reasons(harness)) {
      expect(reason).toMatch(expected);
      explained += 1;
    }
  }
  expect(explained).toBeGreaterThan(rounds);
}, 1_800_000);
