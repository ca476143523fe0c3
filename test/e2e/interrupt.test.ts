import { randomUUID } from "node:crypto";
import { readdir, utimes } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { pseudoRandom } from "../support/random.ts";
import { startCli } from "../support/cli.ts";
import { findMarkedProcesses } from "../support/marked-processes.ts";
import { waitForNothingLeft } from "../support/setup-leftovers.ts";
import { outcomesOf } from "../support/setup-progress.ts";
import { useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace();
const { cli, context, expectCli } = workspace;

/** Steps whose processes leave their session, ignore signals and fork: what a bad package script does. */
const stubborn = `FROM BUSYBOX AS one
ARG TSBUILD_MARK
RUN trap '' INT TERM HUP; echo started-$((0+1)); (setsid sleep 1000 &); sleep 1000 & sleep 1000
FROM BUSYBOX AS two
ARG TSBUILD_MARK
RUN sh -c "trap '' TERM; echo started-$((1+1)); sleep 1000"; sleep 1000
FROM BUSYBOX
COPY --from=one /etc/passwd /1
COPY --from=two /etc/passwd /2
`;

describe("signals", () => {
  test.for([
    { signal: "SIGINT", code: 130 },
    { signal: "SIGTERM", code: 143 },
    { signal: "SIGHUP", code: 129 },
  ] as const)("$signal ends every process of the build, exit $code", async ({ signal, code }) => {
    const mark = `mark-${signal}-${randomUUID()}`;
    const folder = await context({ Dockerfile: stubborn });
    const building = startCli(
      ["--progress", "rawjson", "--build-arg", `TSBUILD_MARK=${mark}`, "-t", "never:1", folder],
      { root: workspace.root },
    );
    await Promise.all([building.seen("started-1"), building.seen("started-2")]);
    building.process.kill(signal);
    const began = Date.now();
    const result = await building.done;
    expect(result.code, result.stderr).toBe(code);
    // It waits for none of the steps, which last a thousand seconds. Half a second is usual.
    expect(Date.now() - began).toBeLessThan(60_000);
    expect(result.stderr).not.toMatch(/^\s+at .*\.[jt]s:\d+/m);
    expect(await waitForNothingLeft(workspace.root, { mark })).toEqual([]);
    expect((await cli(["inspect", "never:1"])).code).toBe(1);
  });

  test("Ctrl-C in a terminal, which reaches the whole process group", async () => {
    const mark = `mark-group-${randomUUID()}`;
    const folder = await context({ Dockerfile: stubborn });
    const building = startCli(
      ["--progress", "rawjson", "--build-arg", `TSBUILD_MARK=${mark}`, folder],
      { root: workspace.root },
    );
    await building.seen("started-1");
    process.kill(-(building.process.pid ?? 0), "SIGINT");
    expect((await building.done).code).toBe(130);
    expect(await waitForNothingLeft(workspace.root, { mark })).toEqual([]);
  });

  test("the finished steps of an interrupted build serve the next one", async () => {
    const dockerfile = (rest: string): string =>
      `FROM BUSYBOX\nRUN cat /proc/sys/kernel/random/uuid >/stamp\n${rest}\n`;
    const folder = await context({
      Dockerfile: dockerfile("RUN echo waiting-$((0+1)); sleep 1000"),
    });
    const building = startCli(["--progress", "rawjson", folder], { root: workspace.root });
    await building.seen("waiting-1");
    building.process.kill("SIGINT");
    await building.done;
    const next = await context({ Dockerfile: dockerfile("RUN cat /stamp") });
    const { stderr } = await expectCli(["--progress", "rawjson", "-t", "next:1", next]);
    expect(outcomesOf(stderr)).toEqual({
      "RUN cat /proc/sys/kernel/random/uuid >/stamp": "cached",
      "RUN cat /stamp": "done",
    });
  });
});

describe("kill -9", () => {
  const rounds = 150;

  test(`${String(rounds)} times at random moments: no process, no mount, and a usable store`, async () => {
    const root = await workspace.freshRoot();
    const mark = `mark-kill-${randomUUID()}`;
    const random = pseudoRandom(20);
    let interrupted = 0;
    // The first builds are let through: the second tells how long one takes here when the base has been fetched, and so
    // when the others may be hit.
    let buildMs = 0;
    for (let round = -2; round < rounds; round++) {
      // However slow or fast the machine is, half of the kills find a step that would last longer than the test.
      const waitsForStep = round >= 0 && round % 2 === 1;
      const ownMark = `${mark}-${String(round)}-`;
      const folder = await context({
        "files/a": "a".repeat(200_000),
        "files/b": `b${String(round)}`,
        Dockerfile: `FROM BUSYBOX
ARG TSBUILD_MARK
COPY files /files
RUN (setsid sleep 30 &); head -c 400000 /dev/urandom >/noise; sleep ${waitsForStep ? "1000" : "0.05"}
FROM BUSYBOX
RUN sleep 0.1
COPY --from=0 /files /files
`,
      });
      const building = startCli(
        ["-q", "--build-arg", `TSBUILD_MARK=${ownMark}`, "-t", "victim:1", folder],
        { root },
      );
      if (round < 0) {
        const started = performance.now();
        expect((await building.done).code).toBe(0);
        buildMs = performance.now() - started;
        continue;
      }
      const isUp = (): boolean =>
        findMarkedProcesses(ownMark).some(({ pid }) => pid !== building.process.pid);
      while (waitsForStep && building.process.exitCode === null && !isUp()) await wait(1);
      await wait(random() * (waitsForStep ? 50 : buildMs));
      building.process.kill("SIGKILL");
      if ((await building.done).code === 137) interrupted++;
    }
    // Moments that are too late to hit anything would make this test say nothing.
    expect(interrupted).toBeGreaterThanOrEqual(rounds / 2);
    expect(await waitForNothingLeft(root, { mark })).toEqual([]);

    const folder = await context({ Dockerfile: "FROM BUSYBOX\nRUN echo fine >/f\n", f: "" });
    await expectCli(["-t", "after:1", folder], { root });
    const { stdout } = await expectCli(["run", "--rm", "after:1", "cat", "/f"], { root });
    expect(stdout).toBe("fine\n");
    // Whatever image a victim left behind is a whole one.
    const { stdout: ids } = await expectCli(["images", "-a", "-q"], { root });
    for (const id of new Set(ids.trim().split("\n"))) {
      await expectCli(["run", "--rm", id, "true"], { root });
    }
    // A folder whose maker died before it could lock it is kept for a while, in case that somebody is just making it.
    for (const name of await readdir(join(root, "tmp"))) {
      await utimes(join(root, "tmp", name), new Date(0), new Date(0));
    }
    await expectCli(["system", "prune", "-a"], { root });
    // `empty` is the lowest layer of every mount, not a snapshot.
    const snapshots = await readdir(join(root, "snapshots"));
    expect(snapshots.filter((name) => name !== "empty")).toEqual([]);
    expect(await readdir(join(root, "tmp"))).toEqual([]);
  });
});
