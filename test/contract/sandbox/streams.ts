import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { findMarkedProcesses } from "../../support/marked-processes.ts";
import type { Workbench } from "./workbench.ts";

/** How a step begins, talks and ends. */
export function streamsContract(bench: Workbench): void {
  describe("streams", () => {
    test("stdout and stderr are apart", async () => {
      expect(await bench.run({ script: "echo out; echo err >&2; printf end" })).toMatchObject({
        exitCode: 0,
        stdout: "out\nend",
        stderr: "err\n",
      });
    });

    test("output comes while the command runs", async () => {
      const gate = await bench.makeFolder("gate-streaming");
      const step = await bench.run({
        script: "echo first; while [ ! -e /mnt/go ]; do sleep 0.01; done; echo second >&2",
        mounts: [{ type: "bind", source: gate, target: "/mnt", readOnly: true }],
        // Without the first line the gate never opens.
        onOutput: ({ stdout }) => void (stdout === "first\n" && writeFile(join(gate, "go"), "")),
      });
      expect(step).toMatchObject({ exitCode: 0, stdout: "first\n", stderr: "second\n" });
    });

    test("10 MB arrive complete, also on both streams at once", async () => {
      const blow = "head -c 10000000 /dev/zero | tr '\\0' x";
      const step = await bench.run({ script: `(${blow}) & (${blow}) >&2; wait` });
      expect(step.exitCode).toBe(0);
      expect(step.stdout).toHaveLength(10_000_000);
      expect(step.stderr).toHaveLength(10_000_000);
      expect(/[^x]/.test(step.stdout + step.stderr)).toBe(false);
    });

    test("standard input is empty", async () => {
      expect(await bench.read("cat; readlink /proc/self/fd/0")).toBe("/dev/null");
    });

    test("what the command leaves in the background ends with it", async () => {
      // Whoever waited for it would hear more.
      expect(await bench.read("(sleep 60; echo late) & echo now")).toBe("now");
    });
  });

  describe("the end", () => {
    test.each([0, 1, 2, 42, 125, 127, 255])("exit code %i", async (code) => {
      const step = await bench.run({ script: `exit ${code}` });
      expect(step).toMatchObject({ exitCode: code, signal: undefined });
      expect(step.durationMs).toBeGreaterThan(0);
    });

    test("the exit code of a command that ends at once, again and again", async () => {
      const codes = new Set<number | undefined>();
      const runSome = async (): Promise<void> => {
        for (let round = 0; round < 10; round += 1) {
          codes.add((await bench.run({ argv: ["/bin/false"] })).exitCode);
        }
      };
      await Promise.all([runSome(), runSome(), runSome(), runSome()]);
      expect([...codes]).toEqual([1]);
    });

    test("a signal from outside", async () => {
      const running = bench.run({
        argv: ["/bin/sleep", "600"],
      });
      const pid = await waitForCommand(bench, "/bin/sleep 600");
      process.kill(pid, "SIGKILL");
      const { exitCode, signal } = await running;
      expect({ exitCode, signal }).toEqual({ exitCode: undefined, signal: "SIGKILL" });
    });

    test("a child that a signal killed is the shell's to report", async () => {
      expect(await bench.run({ script: "sh -c 'kill -TERM $$'; exit $?" })).toMatchObject({
        exitCode: 143,
      });
    });
  });

  describe("commands", () => {
    test("are looked up in the PATH of the step, inside the root", async () => {
      const env = ["PATH=/none:/root/bin:/bin", ...bench.env.slice(1)];
      expect(await bench.run({ argv: ["echo", "found"], env })).toMatchObject({
        stdout: "found\n",
      });
    });

    test("may be relative to the working directory, and may be scripts", async () => {
      await bench.read("printf '#!/bin/sh\\necho script $1' > /tmp/s && chmod 755 /tmp/s");
      expect(await bench.run({ argv: ["./s", "a"], cwd: "/tmp" })).toMatchObject({
        exitCode: 0,
        stdout: "script a\n",
      });
    });

    test.each([["nonesuch"], ["/bin/nonesuch"], ["/nowhere/x"], ["./nonesuch"]])(
      "%s is not found: 127",
      async (command) => {
        await expect(bench.run({ argv: [command] })).rejects.toMatchObject({
          code: "SANDBOX_EXEC_NOT_FOUND",
          details: { exitCode: 127 },
        });
      },
    );

    test.each([["/etc"], ["/etc/passwd"]])("%s cannot be executed: 126", async (command) => {
      await expect(bench.run({ argv: [command] })).rejects.toMatchObject({
        code: "SANDBOX_EXEC_NOT_EXECUTABLE",
        details: { exitCode: 126 },
      });
    });

    test("a file that is no program is not handed to a shell", async () => {
      await bench.read("echo 'echo shell' > /tmp/text && chmod 755 /tmp/text");
      await expect(bench.run({ argv: ["/tmp/text"] })).rejects.toMatchObject({
        code: "SANDBOX_EXEC_FORMAT",
        message: expect.stringContaining("exec format error"),
        details: { exitCode: 126 },
      });
    });

    test("a script whose interpreter is missing is not found: 127", async () => {
      await bench.read("printf '#!/no/such' > /tmp/lost && chmod 755 /tmp/lost");
      await expect(bench.run({ argv: ["/tmp/lost"] })).rejects.toMatchObject({
        code: "SANDBOX_EXEC_NOT_FOUND",
        details: { exitCode: 127 },
      });
    });
  });
}

async function waitForCommand(bench: Workbench, command: string): Promise<number> {
  for (;;) {
    const found = findMarkedProcesses(bench.mark).find((process) => process.command === command);
    if (found !== undefined) return found.pid;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
