import { chmod, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { explainForeign, machineOf } from "../../../src/build/foreign-program.ts";
import { isHandledBy, readBinfmt } from "../../../src/build/binfmt.ts";
import { hostPlatform, TsbuildError } from "../../../src/core/index.ts";
import { createDirectoryTree } from "../../support/directory-tree.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

/** The beginning of a program for a machine: enough for a kernel to refuse it. */
function elf(machine: number, { wide = true, big = false } = {}): Buffer {
  const head = Buffer.alloc(64);
  head.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, big ? 2 : 1, 1]);
  head.set([big ? 0 : 2, big ? 2 : 0], 16);
  if (big) head.writeUInt16BE(machine, 18);
  else head.writeUInt16LE(machine, 18);
  return head;
}

const [arm64, s390x] = [elf(183), elf(22, { big: true })];
const isArm = hostPlatform().architecture === "arm64";
const foreign = isArm ? elf(62) : arm64;
const foreignName = isArm ? "linux/amd64" : "linux/arm64";

const refused = (code: string): TsbuildError =>
  new TsbuildError({ code, message: "exec x: exec format error" });
const step = { argv: ["tool"], env: ["PATH=/opt:/bin"], cwd: "/work" };

async function rootWith(files: Readonly<Record<string, Buffer | string>>): Promise<string> {
  const root = await temporaryFolder();
  for (const [name, content] of Object.entries(files)) {
    await mkdir(join(root, name, ".."), { recursive: true });
    await writeFile(join(root, name), content);
    await chmod(join(root, name), 0o755);
  }
  return root;
}

/** A folder as the kernel shows it, with the registration of qemu-user-static for 64-bit ARM. */
async function binfmt(
  options: { readonly flags?: string; readonly status?: string } = {},
): Promise<string> {
  const { flags = "OCF", status = "enabled" } = options;
  const magic = isArm
    ? "7f454c4602010100000000000000000002003e00"
    : "7f454c460201010000000000000000000200b700";
  return rootWith({
    status: `${status}\n`,
    register: "",
    "qemu-foreign": `enabled\ninterpreter /usr/bin/qemu-foreign\nflags: ${flags}\noffset 0\nmagic ${magic}\nmask ffffffffffffff00fffffffffffffffffeffffff\n`,
    "by-extension": "enabled\ninterpreter /usr/bin/mono\nflags: \nextension .exe\n",
  });
}

test("machines are told by number, word size and byte order", () => {
  expect(machineOf(arm64)).toBe("arm64");
  expect(machineOf(s390x)).toBe("s390x");
  expect(machineOf(elf(3, { wide: false }))).toBe("386");
  expect(machineOf(elf(40, { wide: false }))).toBe("arm");
  expect(machineOf(elf(21))).toBe("ppc64le");
  expect(machineOf(elf(9999))).toBeUndefined();
  expect(machineOf(Buffer.from("#!/bin/sh\n"))).toBeUndefined();
  expect(machineOf(Buffer.alloc(0))).toBeUndefined();
});

test("a program for another machine is named with what helps", async () => {
  const tree = createDirectoryTree(await rootWith({ "opt/tool": foreign }));
  const folder = await temporaryFolder();
  const told = await explainForeign(refused("SANDBOX_EXEC_FORMAT"), {
    ...{ op: step, tree, binfmtFolder: folder },
  });
  expect(told).toMatchObject({
    code: "BUILD_PLATFORM_UNSUPPORTED",
    details: { program: "tool", platform: foreignName, exitCode: 126 },
  });
  const { message, hint = "" } = told as TsbuildError;
  expect(message).toContain("exec format error");
  expect(message).toContain(foreignName);
  for (const word of ["qemu-user-static", "binfmt-support", "tonistiigi/binfmt", "$BUILDPLATFORM"])
    expect(hint).toContain(word);
});

test("the interpreter of a script counts, and links lead to the program", async () => {
  const root = await rootWith({
    "bin/tool": "#! /usr/bin/sh -e\nexit\n",
    "usr/lib/shell": foreign,
  });
  await mkdir(join(root, "usr/bin"), { recursive: true });
  await symlink("../lib/shell", join(root, "usr/bin/sh"));
  const tree = createDirectoryTree(root);
  const told = await explainForeign(refused("SANDBOX_EXEC_FORMAT"), { op: step, tree });
  expect(told).toMatchObject({ details: { program: "/usr/bin/sh", platform: foreignName } });
});

test("an emulator that is not found inside images is told apart from none", async () => {
  const tree = createDirectoryTree(await rootWith({ "bin/tool": foreign }));
  const binfmtFolder = await binfmt({ flags: "OC" });
  const told = await explainForeign(refused("SANDBOX_EXEC_NOT_FOUND"), {
    ...{ op: step, tree, binfmtFolder },
  });
  expect(told).toMatchObject({ details: { interpreter: "/usr/bin/qemu-foreign" } });
  expect((told as TsbuildError).hint).toContain("flag F");
});

test("what fails for another reason stays as it is", async () => {
  const tree = createDirectoryTree(
    await rootWith({
      "bin/native": isArm ? elf(183) : elf(62),
      "bin/text": "not a program",
      "bin/tool": foreign,
    }),
  );
  for (const name of ["native", "text", "missing"]) {
    const error = refused("SANDBOX_EXEC_FORMAT");
    expect(await explainForeign(error, { op: { ...step, argv: [name] }, tree })).toBe(error);
  }
  const other = refused("SANDBOX_LOST");
  expect(await explainForeign(other, { op: step, tree })).toBe(other);
});

test("the kernel's registrations are read, disabled ones and file endings apart", async () => {
  const [entry, ...others] = (await readBinfmt(await binfmt())) ?? [];
  expect(others).toEqual([]);
  expect(entry).toMatchObject({ interpreter: "/usr/bin/qemu-foreign", isFixed: true, offset: 0 });
  if (entry === undefined) throw new Error("nothing was read");
  expect(isHandledBy(entry, foreign)).toBe(true);
  expect(isHandledBy(entry, s390x)).toBe(false);
  expect(isHandledBy(entry, foreign.subarray(0, 10))).toBe(false);
  expect(await readBinfmt(await binfmt({ status: "disabled" }))).toEqual([]);
  expect(await readBinfmt(await temporaryFolder())).toBeUndefined();
  expect(await readBinfmt("/no/such/folder")).toBeUndefined();
});
