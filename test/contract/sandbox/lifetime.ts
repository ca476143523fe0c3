import { spawn } from "node:child_process";
import { once } from "node:events";
import { open, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { loadSyscalls } from "../../../src/core/index.ts";
import { bundleScript } from "../../support/bundle-script.ts";
import { findMarkedProcesses } from "../../support/marked-processes.ts";
import type { SandboxDriverRequest } from "../../support/sandbox-driver.ts";
import type { Workbench } from "./workbench.ts";

/** Processes that changed their user, left their session and ignore signals. */
const stubborn = "trap '' TERM HUP INT; (setsid sleep 600 &); sleep 600 & echo up; sleep 600";

export interface KillPlan {
  readonly isolation: "builtin" | "oci" | "chroot";
  readonly rounds: number;
  /** The kill comes 0 to this many milliseconds after the steps were asked for; in every second round, after one is up. */
  readonly withinMs: number;
}

/** Who lives how long: concurrency, cancellation, and the death of the driving process. */
export function lifetimeContract(bench: Workbench, kill: KillPlan): void {
  test("two steps at a time do not see each other", async () => {
    const gate = await bench.makeFolder("gate-concurrent");
    const up = new Set<string>();
    const run = async (name: string): Promise<string> => {
      const step = await bench.run({
        hostname: name,
        script: "echo up; while [ ! -e /mnt/go ]; do sleep 0.01; done; hostname; ps | wc -l",
        rootfs: {
          type: "overlay",
          lower: [bench.root],
          upper: await bench.makeFolder(`${name}/upper`),
          work: await bench.makeFolder(`${name}/work`),
        },
        mounts: [{ type: "bind", source: gate, target: "/mnt", readOnly: true }],
        // The gate opens when both are up: one after the other would wait for ever.
        onOutput: () => {
          if (up.add(name).size === 2) void writeFile(join(gate, "go"), "");
        },
      });
      return step.stdout;
    };
    const [one, two] = await Promise.all([run("one"), run("two")]);
    expect(one).toMatch(/^up\none\n[1-6]\n$/);
    expect(two).toMatch(/^up\ntwo\n[1-6]\n$/);
  });

  test("an abort kills the whole step before run settles", async () => {
    const controller = new AbortController();
    let wasUp = false;
    const running = bench.run({
      script: stubborn,
      user: { uid: 1000, gid: 1000, groups: [1000], home: "/" },
      signal: controller.signal,
      onOutput: () => {
        wasUp = findMarkedProcesses(bench.mark).length >= 3;
        controller.abort();
      },
    });
    await expect(running).rejects.toMatchObject({ code: "CANCELED" });
    expect(findMarkedProcesses(bench.mark)).toEqual([]);
    expect(wasUp).toBe(true);
  });

  test.each([0, 1, 3, 10, 30])("an abort %i ms after the start", async (delayMs) => {
    const controller = new AbortController();
    const running = bench.run({ script: stubborn, signal: controller.signal });
    setTimeout(() => controller.abort(), delayMs);
    await expect(running).rejects.toMatchObject({ code: "CANCELED" });
    expect(findMarkedProcesses(bench.mark)).toEqual([]);
  });

  test("the command does not have what is kept open for it", async () => {
    const file = await open(join(bench.root, "etc"), "r");
    const step = await bench.run({ script: "ls -l /proc/self/fd", keepOpen: [file.fd, file.fd] });
    await file.close();
    expect(step.stdout).not.toContain("/etc");
    expect(step.stdout).toMatch(/ 0 -> \/dev\/null\n/);
  });

  test("an abort before the start", async () => {
    const running = bench.run({ script: "echo never", signal: AbortSignal.abort() });
    await expect(running).rejects.toMatchObject({ code: "CANCELED" });
  });

  describe("kill -9 of the driving process", () => {
    test(`leaves no survivor when what a step keeps open is closed: ${kill.rounds} random moments`, async () => {
      const driver = await bundleScript("sandbox-driver");
      const roots = [bench.root, await bench.makeRoot("driven")] as const;
      let roundsWithSteps = 0;
      for (let round = 0; round < kill.rounds; round += 1) {
        const mark = `${bench.mark}-${round}-`;
        const request: SandboxDriverRequest = {
          isolation: kill.isolation,
          stateDir: await bench.makeFolder(`driven-state/${mark}`),
          cacheDir: await bench.makeFolder("cache"),
          roots,
          mark,
          lock: join(bench.dir, `${mark}lock`),
        };
        const delayMs = Math.random() * kill.withinMs;
        // However slow the machine is, half of the kills find steps that are up.
        const waitsForStep = round % 2 === 1;
        const hadSteps = await killDriver({ driver, request, waitsForStep, delayMs });
        if (hadSteps) roundsWithSteps += 1;
        await waitForLock(request.lock, 120_000);
        const survivors = findMarkedProcesses(mark);
        expect({ round, delayMs, survivors }).toEqual({ round, delayMs, survivors: [] });
      }
      await rm(driver);
      expect(roundsWithSteps).toBeGreaterThanOrEqual(Math.floor(kill.rounds / 2));
    });
  });
}

/** Until nobody has it locked any more. */
async function waitForLock(path: string, timeoutMs: number): Promise<void> {
  const { flock } = await loadSyscalls();
  const lock = await open(path, "r");
  await flock(lock.fd, { exclusive: true, signal: AbortSignal.timeout(timeoutMs) });
  await lock.close();
}

/** Whether a step was up when the driver died. */
async function killDriver(options: {
  readonly driver: string;
  readonly request: SandboxDriverRequest;
  readonly waitsForStep: boolean;
  readonly delayMs: number;
}): Promise<boolean> {
  const { driver, request, waitsForStep, delayMs } = options;
  const child = spawn(process.execPath, [driver, JSON.stringify(request)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  await Promise.race([once(child.stdout, "data"), exited]);
  const hasSteps = (): boolean =>
    findMarkedProcesses(request.mark).some(({ pid }) => pid !== child.pid);
  while (waitsForStep && child.exitCode === null && !hasSteps()) await sleep(1);
  await sleep(delayMs);
  const hadSteps = hasSteps();
  expect(child.kill("SIGKILL")).toBe(true);
  await exited;
  return hadSteps;
}
