import { chmod, readFile, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { instructionSteps, outcomesOf } from "../support/setup-progress.ts";
import { useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace();
const { cli, context, expectCli, inspect, output } = workspace;
const raw = ["--progress", "rawjson"];

const dockerfile = `FROM BUSYBOX
# a comment
ARG MODE=fast
WORKDIR /app
COPY package.txt .
RUN cat package.txt >installed && cat /proc/sys/kernel/random/uuid >>installed
COPY src src
RUN cat src/* >built && cat /proc/sys/kernel/random/uuid >>built
CMD ["cat", "built"]
`;
const files = { "package.txt": "p\n", "src/a": "a\n", "src/b": "b\n", Dockerfile: dockerfile };

test("the second run has only CACHED steps and makes the same image", async () => {
  const folder = await context(files);
  const first = await expectCli([...raw, "-t", "twice:1", folder]);
  expect(Object.values(outcomesOf(first.stderr))).toEqual(Array(5).fill("done"));
  const { Id } = await inspect("twice:1");
  const second = await expectCli([...raw, "-t", "twice:1", folder]);
  expect(Object.values(outcomesOf(second.stderr))).toEqual(Array(5).fill("cached"));
  expect((await inspect("twice:1")).Id).toBe(Id);

  const plain = await expectCli(["--progress", "plain", "-t", "twice:1", folder]);
  expect(plain.stderr.match(/ CACHED$/gm)?.length).toBeGreaterThanOrEqual(5);
  expect(plain.stderr).not.toMatch(/RUN .*DONE/);
});

test("a changed file reruns from its COPY on", async () => {
  const folder = await context(files);
  await expectCli(["-t", "touched:1", folder]);
  await writeFile(join(folder, "src/b"), "changed\n");
  const { stderr } = await expectCli([...raw, "-t", "touched:1", folder]);
  expect(Object.values(outcomesOf(stderr))).toEqual(["cached", "cached", "cached", "done", "done"]);
  expect(await output("touched:1")).toMatch(/^a\nchanged\n[0-9a-f-]{36}\n$/);
});

test("neither a file's time nor an unread file reruns anything; its mode does", async () => {
  const folder = await context({ ...files, "src/a": { mode: 0o644, content: "times\n" } });
  await expectCli(["-t", "times:1", folder]);
  await utimes(join(folder, "src/a"), 5, 5);
  await writeFile(join(folder, "unread"), "new");
  const same = await expectCli([...raw, "-t", "times:1", folder]);
  expect(new Set(Object.values(outcomesOf(same.stderr)))).toEqual(new Set(["cached"]));
  await writeFile(join(folder, "unread"), "newer");
  await chmod(join(folder, "src/a"), 0o755);
  const changed = await expectCli([...raw, "-t", "times:1", folder]);
  expect(outcomesOf(changed.stderr)["COPY src src"]).toBe("done");
});

test("comments, CMD and LABEL rerun nothing; the RUN's text does [6.5]", async () => {
  const folder = await context(files);
  await expectCli(["-t", "comment:1", folder]);
  const path = join(folder, "Dockerfile");
  const text = await readFile(path, "utf8");
  const rewrite = text
    .replace("# a comment", "# another\n\n# two")
    .replace('CMD ["cat", "built"]', 'LABEL a=b\nCMD ["true"]');
  await writeFile(path, rewrite);
  const same = await expectCli([...raw, "-t", "comment:1", folder]);
  expect(new Set(Object.values(outcomesOf(same.stderr)))).toEqual(new Set(["cached"]));
  expect((await inspect("comment:1")).Config["Cmd"]).toEqual(["true"]);

  await writeFile(path, rewrite.replace(">>built", ">> built"));
  const changed = await expectCli([...raw, "-t", "comment:1", folder]);
  expect(Object.values(outcomesOf(changed.stderr))).toEqual([
    "cached",
    "cached",
    "cached",
    "cached",
    "done",
  ]);
});

test("a build argument reruns the RUNs behind it, not the COPYs [6.4]", async () => {
  const folder = await context(files);
  await expectCli(["-t", "arg:1", folder]);
  const { stderr } = await expectCli([...raw, "-t", "arg:1", "--build-arg", "MODE=x", folder]);
  const outcomes = outcomesOf(stderr);
  expect(outcomes["WORKDIR /app"]).toBe("cached");
  expect(outcomes["COPY package.txt ."]).toBe("cached");
  const runs = Object.entries(outcomes).filter(([name]) => name.startsWith("RUN"));
  expect(runs.map(([, outcome]) => outcome)).toEqual(["done", "done"]);
});

test("a failed build goes on from the step that failed", async () => {
  const folder = await context({
    Dockerfile:
      "FROM BUSYBOX\nRUN cat /proc/sys/kernel/random/uuid >/first\nCOPY answer /answer\nRUN sh /answer\nRUN true\n",
    answer: "exit 3",
  });
  const failed = await cli([...raw, "-t", "failed:1", folder]);
  expect(failed.code).toBe(1);
  expect(outcomesOf(failed.stderr)).toEqual({
    "RUN cat /proc/sys/kernel/random/uuid >/first": "done",
    "COPY answer /answer": "done",
    "RUN sh /answer": "failed",
  });
  const again = await cli([...raw, "-t", "failed:1", folder]);
  expect(outcomesOf(again.stderr)).toEqual({
    "RUN cat /proc/sys/kernel/random/uuid >/first": "cached",
    "COPY answer /answer": "cached",
    "RUN sh /answer": "failed",
  });
  await writeFile(join(folder, "answer"), "exit 0");
  const good = await expectCli([...raw, "-t", "failed:1", folder]);
  expect(outcomesOf(good.stderr)).toMatchObject({
    "RUN cat /proc/sys/kernel/random/uuid >/first": "cached",
    "RUN sh /answer": "done",
    "RUN true": "done",
  });
});

test("--no-cache reruns everything and its results serve the next build [6.16]", async () => {
  const folder = await context(files);
  await expectCli(["-t", "nocache:1", folder]);
  const before = await output("nocache:1");
  const forced = await expectCli([...raw, "--no-cache", "-t", "nocache:1", folder]);
  const reran = instructionSteps(forced.stderr).filter(({ name }) => !name.includes("WORKDIR"));
  expect(reran.map(({ outcome }) => outcome)).toEqual(["done", "done", "done", "done"]);
  const after = await output("nocache:1");
  expect(after).not.toBe(before);
  await expectCli(["-t", "nocache:1", folder]);
  expect(await output("nocache:1")).toBe(after);
});

test("another context with the same bytes hits the same steps", async () => {
  await expectCli(["-t", "moved:1", await context({ ...files, "src/a": "moved\n" })]);
  const other = await context({ ...files, "src/a": "moved\n" });
  const { stderr } = await expectCli([...raw, "-t", "moved:2", other]);
  expect(new Set(Object.values(outcomesOf(stderr)))).toEqual(new Set(["cached"]));
});

test("a renamed match of a pattern reruns the COPY", async () => {
  const text = "FROM BUSYBOX\nCOPY *.conf /etc/app/\n";
  await expectCli(["-t", "renamed:1", await context({ "a.conf": "1", Dockerfile: text })]);
  const renamed = await context({ "b.conf": "1", Dockerfile: text });
  const { stderr } = await expectCli([...raw, "-t", "renamed:1", renamed]);
  expect(outcomesOf(stderr)).toEqual({ "COPY *.conf /etc/app/": "done" });
  expect(await output("renamed:1", "ls", "/etc/app")).toBe("b.conf\n");
});

test("each build tells why its steps run", async () => {
  const folder = await context({ ...files, Dockerfile: dockerfile.replace("/app", "/why") });
  const why = async (...words: string[]): Promise<Record<string, string>> => {
    const { stderr } = await expectCli(["--progress", "plain", ...words, "-t", "why:1", folder]);
    const names = new Map(
      Array.from(stderr.matchAll(/^#(\d+) \[\d+\/\d+\] (\S+ [\w/]+)/gm), ([, id, name]) => [
        id,
        name,
      ]),
    );
    const found = stderr.matchAll(/^#(\d+) why: (.*)$/gm);
    return Object.fromEntries(
      Array.from(found, ([, id, text = ""]) => [names.get(id) ?? "?", text]),
    );
  };
  const first = "first time";
  expect(await why()).toEqual({
    "WORKDIR /why": first,
    "COPY package": first,
    "RUN cat": first,
    "COPY src": first,
  });
  expect(await why()).toEqual({});
  await writeFile(join(folder, "src/b"), "changed\n");
  expect((await why())["COPY src"]).toBe("src/b: content changed");
  expect((await why("--build-arg", "MODE=slow"))["RUN cat"]).toBe("ARG or ENV MODE changed");
});

test("another image under the name of the base is told with both IDs", async () => {
  const base = await context({ Dockerfile: "FROM BUSYBOX\nENV A=1\nWORKDIR /one\n" });
  const folder = await context({ Dockerfile: "FROM why-base:1\nRUN true\n" });
  await expectCli(["-t", "why-base:1", base]);
  await expectCli(["-t", "why-top:1", folder]);
  const before = await inspect("why-base:1");
  await writeFile(join(base, "Dockerfile"), "FROM why-base:1\nWORKDIR /two\n");
  await expectCli(["-t", "why-base:1", base]);
  const after = await inspect("why-base:1");
  const { stderr } = await expectCli(["--progress", "plain", "-t", "why-top:1", folder]);
  const short = (id: string): string => id.slice(0, "sha256:".length + 12);
  expect(stderr).toContain(
    `base image docker.io/library/why-base:1 changed: ${short(before.Id)} -> ${short(after.Id)}`,
  );
});
