import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf } from "../core/index.ts";

/** A program that the kernel starts instead of programs that it cannot execute itself. */
export interface BinfmtEntry {
  readonly interpreter: string;
  /** Opened when it was registered, so that it is found whatever root filesystem a process has (flag F). */
  readonly isFixed: boolean;
  readonly offset: number;
  readonly magic: Buffer;
  readonly mask: Buffer;
}

/** Where the kernel shows what is registered. */
const binfmtFolder = "/proc/sys/fs/binfmt_misc";

/**
 * What is registered and enabled; undefined where the kernel does not show it, as in most containers: emulators may be
 * at work all the same.
 * @see Linux, Documentation/admin-guide/binfmt-misc.rst
 */
export async function readBinfmt(
  folder = binfmtFolder,
): Promise<readonly BinfmtEntry[] | undefined> {
  try {
    const names = await readdir(folder);
    if (!names.includes("status")) return undefined;
    if (!(await readFile(join(folder, "status"), "utf8")).startsWith("enabled")) return [];
    const entries = names.filter((name) => name !== "status" && name !== "register");
    const texts = await Promise.all(
      entries.map(async (name) => readFile(join(folder, name), "utf8")),
    );
    return texts.flatMap((text) => parseEntry(text) ?? []);
  } catch (error) {
    if (errnoOf(error) !== undefined) return undefined;
    throw error;
  }
}

/** Whether the kernel takes the program that begins with `head` to the entry's interpreter. */
export function isHandledBy({ offset, magic, mask }: BinfmtEntry, head: Buffer): boolean {
  if (head.length < offset + magic.length) return false;
  return magic.every((byte, index) => {
    const bits = mask[index] ?? 0xff;
    return ((head[offset + index] ?? 0) & bits) === (byte & bits);
  });
}

/** Entries that go by the end of a file's name have no magic, and concern no machine. */
function parseEntry(text: string): BinfmtEntry | undefined {
  const lines = text.split("\n");
  const fields = new Map(
    lines.map((line) => [line.slice(0, line.indexOf(" ")), line.slice(line.indexOf(" ") + 1)]),
  );
  const [interpreter, magic] = [fields.get("interpreter"), fields.get("magic")];
  if (lines[0] !== "enabled" || interpreter === undefined || magic === undefined) return undefined;
  return {
    interpreter,
    isFixed: (fields.get("flags:") ?? "").includes("F"),
    offset: Number(fields.get("offset") ?? "0"),
    magic: Buffer.from(magic, "hex"),
    mask: Buffer.from(fields.get("mask") ?? "", "hex"),
  };
}
