import { read } from "node:fs";
import { promisify } from "node:util";
import { formatPlatform, hostPlatform, isTsbuildError } from "../core/index.ts";
import { resolvePath, toRootPath, type MergedTree } from "../layer/index.ts";
import type { ExecOp } from "../plan/index.ts";
import { isHandledBy, readBinfmt, type BinfmtEntry } from "./binfmt.ts";
import { buildError } from "./errors.ts";

const readAt = promisify(read);
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** Scripts may name interpreters that are scripts; the kernel stops at five. */
const maxInterpreters = 5;

/**
 * A RUN that could not start, told as what it is when its program was made for another machine: which one, and what
 * helps. Asked only after the kernel has refused: what it takes runs, whatever a platform is called.
 *
 * @returns BUILD_PLATFORM_UNSUPPORTED, or the error as it was
 */
export async function explainForeign(
  error: unknown,
  step: {
    readonly op: Pick<ExecOp, "argv" | "env" | "cwd">;
    readonly tree: MergedTree;
    /** Where the kernel shows its emulators; for tests. */
    readonly binfmtFolder?: string;
  },
): Promise<unknown> {
  const codes = ["SANDBOX_EXEC_FORMAT", "SANDBOX_EXEC_NOT_FOUND"];
  if (!isTsbuildError(error) || !codes.includes(error.code)) return error;
  const program = await findProgram(step.op, step.tree);
  const machine = program === undefined ? undefined : machineOf(program.head);
  if (program === undefined || machine === undefined || isNative(machine)) return error;
  const entries = await readBinfmt(step.binfmtFolder);
  const entry = entries?.find((each) => isHandledBy(each, program.head));
  const host = formatPlatform(hostPlatform());
  return buildError(
    "BUILD_PLATFORM_UNSUPPORTED",
    `exec ${program.name}: exec format error: it is a program for linux/${machine}, and this machine is ${host}`,
    {
      hint: hintFor(machine, entry),
      details: {
        ...{ program: program.name, platform: `linux/${machine}`, host },
        ...(entry === undefined ? {} : { interpreter: entry.interpreter }),
        exitCode: 126,
      },
      cause: error,
    },
  );
}

function hintFor(machine: string, entry: BinfmtEntry | undefined): string {
  const pin = "or begin the stage with FROM --platform=$BUILDPLATFORM and cross-compile";
  if (entry !== undefined && !entry.isFixed) {
    return `${entry.interpreter} is registered for such programs, but not with flag F, so it is not found inside images: install qemu-user-static, whose registration has it, or run docker run --privileged --rm tonistiigi/binfmt --install ${machine}; ${pin}`;
  }
  return `install an emulator: the packages qemu-user-static and binfmt-support, or docker run --privileged --rm tonistiigi/binfmt --install ${machine}; ${pin}`;
}

interface Program {
  /** As the step calls it, or the interpreter that its script names. */
  readonly name: string;
  /** Its first bytes. */
  readonly head: Buffer;
}

/** The program that the kernel would execute in the end; undefined when there is none. */
async function findProgram(
  op: Pick<ExecOp, "argv" | "env" | "cwd">,
  tree: MergedTree,
): Promise<Program | undefined> {
  let name = op.argv[0] ?? "";
  let program = await readFirst(tree, { op, names: candidatesFor(name, op.env) });
  for (let depth = 0; depth < maxInterpreters && program !== undefined; depth++) {
    const interpreter = /^#![ \t]*([^\s]+)/.exec(program.toString("latin1"))?.[1];
    if (interpreter === undefined) return { name, head: program };
    name = interpreter;
    program = await readFirst(tree, { op, names: [name] });
  }
  return undefined;
}

function candidatesFor(name: string, env: readonly string[]): readonly string[] {
  if (name.includes("/")) return [name];
  const path = env.findLast((variable) => variable.startsWith("PATH="))?.slice("PATH=".length);
  return (path ?? defaultPath).split(":").map((folder) => `${folder}/${name}`);
}

/** The beginning of the first of the files that is there. */
async function readFirst(
  tree: MergedTree,
  wanted: { readonly op: Pick<ExecOp, "cwd">; readonly names: readonly string[] },
): Promise<Buffer | undefined> {
  const cwd = toRootPath(wanted.op.cwd);
  for (const name of wanted.names) {
    const path = await resolvePath(tree, name, { followLast: true, cwd });
    if ((await tree.lstat(path))?.type !== "file") continue;
    const file = await tree.openFile(path);
    try {
      const { buffer, bytesRead } = await readAt(file.fd, Buffer.alloc(256), 0, 256, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  }
  return undefined;
}

/** Architecture by number, word size and byte order of an ELF file. @see elf(5), `e_machine` */
const machines: Readonly<Record<string, string>> = {
  "3 1 1": "386",
  "62 2 1": "amd64",
  "40 1 1": "arm",
  "183 2 1": "arm64",
  "8 1 1": "mipsle",
  "8 1 2": "mips",
  "8 2 1": "mips64le",
  "8 2 2": "mips64",
  "21 2 1": "ppc64le",
  "21 2 2": "ppc64",
  "22 2 2": "s390x",
  "243 2 1": "riscv64",
  "258 2 1": "loong64",
};

/** undefined for what is no ELF file of a machine that images have names for. */
export function machineOf(head: Buffer): string | undefined {
  if (head.length < 20 || head.readUInt32BE(0) !== 0x7f454c46) return undefined;
  const [wordSize, byteOrder] = [head.readUInt8(4), head.readUInt8(5)];
  const machine = byteOrder === 2 ? head.readUInt16BE(18) : head.readUInt16LE(18);
  return machines[`${String(machine)} ${String(wordSize)} ${String(byteOrder)}`];
}

/** Then the kernel's refusal has another reason. */
function isNative(machine: string): boolean {
  return machine === hostPlatform().architecture;
}
