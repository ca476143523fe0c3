import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test, type TestContext } from "vitest";
import { makeArm64Program } from "../support/arm64-program.ts";
import { makeFolder } from "../support/setup-context.ts";
import { errorCode, runProgram, useWorkspace } from "../support/setup-workspace.ts";

// One file for all: what is registered with the kernel counts for the whole machine.
const workspace = useWorkspace();
const { cli, context, expectCli } = workspace;

const emulator = "/usr/bin/qemu-aarch64-static";
const handler = `tsbuild-test-${String(process.pid)}`;
/** An ELF file for AArch64 that is executable or shared. */
const [magic, mask] = [
  "\\x7f\\x45\\x4c\\x46\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\xb7\\x00",
  "\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff\\xff",
];

const program = async (): Promise<string> =>
  context({
    Dockerfile: 'FROM scratch\nCOPY hello /bin/\nRUN ["hello"]\n',
    hello: { mode: 0o755, content: makeArm64Program("hello from afar\n") },
  });

/** Runs `use` where the kernel shows its emulators; skips where nobody may look, or ARM is no foreign machine. */
async function withBinfmt(
  test: TestContext,
  use: (folder: string) => Promise<void>,
): Promise<void> {
  if (process.arch === "arm64") return test.skip("64-bit ARM is this machine's own");
  const folder = await makeFolder("binfmt");
  try {
    await runProgram("mount", ["-t", "binfmt_misc", "none", folder]);
  } catch (error) {
    return test.skip(`this kernel shows no binfmt_misc: ${String(error).slice(0, 200)}`);
  }
  try {
    for (const name of await readdir(folder)) {
      if (name === "register" || name === "status") continue;
      const text = await readFile(join(folder, name), "utf8");
      if (text.includes("b700")) return test.skip(`${name} emulates 64-bit ARM here already`);
    }
    await use(folder);
  } finally {
    await runProgram("umount", ["-l", folder]);
  }
}

async function withEmulator(
  folder: string,
  flags: string,
  use: () => Promise<void>,
): Promise<void> {
  const entry = `:${handler}:M::${magic}:${mask}:${emulator}:${flags}`;
  await writeFile(join(folder, "register"), entry);
  try {
    await use();
  } finally {
    await writeFile(join(folder, handler), "-1");
  }
}

describe("a RUN whose program is for another machine", () => {
  test("is told as that, with the line and with what helps", async (test) => {
    await withBinfmt(test, async () => {
      const result = await cli(["--platform", "linux/arm64", await program()]);
      expect(result.code).toBe(1);
      expect(errorCode(result)).toBe("BUILD_PLATFORM_UNSUPPORTED");
      for (const text of [
        ...["exec hello: exec format error", "linux/arm64", ">>> RUN", "qemu-user-static"],
        ...["binfmt-support", "tonistiigi/binfmt", "$BUILDPLATFORM"],
      ])
        expect(result.stderr).toContain(text);
    });
  });

  test("runs where an emulator is registered for every root", async (test) => {
    if (!existsSync(emulator))
      return test.skip(`${emulator} is missing (package qemu-user-static)`);
    await withBinfmt(test, async (folder) => {
      await withEmulator(folder, "OCF", async () => {
        const { stderr } = await expectCli([
          ...["--progress", "plain", "--platform", "linux/arm64", "-t", "emulated:1"],
          await program(),
        ]);
        expect(stderr).toContain("hello from afar");
        expect(await workspace.output("emulated:1", "/bin/hello")).toBe("hello from afar\n");
      });
    });
  });

  test("is refused where the emulator is not found inside", async (test) => {
    if (!existsSync(emulator))
      return test.skip(`${emulator} is missing (package qemu-user-static)`);
    await withBinfmt(test, async (folder) => {
      await withEmulator(folder, "OC", async () => {
        const result = await cli(["--no-cache", "--platform", "linux/arm64", await program()]);
        expect(errorCode(result)).toBe("BUILD_PLATFORM_UNSUPPORTED");
      });
    });
  });
});
