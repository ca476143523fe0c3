import { execFileSync } from "node:child_process";
import fc from "fast-check";
import type { RootfsMount } from "../../src/core/index.ts";
import { mountCommand } from "./tree-dump.ts";

const program = new URL("wild-tree.py", import.meta.url).pathname;

/** One change of a tree. Paths and targets are bytes, one character each; what the kernel refuses is left out. */
export type WildChange =
  | { readonly do: "file"; readonly path: string; readonly content: string; readonly size: number }
  | { readonly do: "directory" | "remove" | "fifo"; readonly path: string }
  | {
      readonly do: "symlink" | "hardlink" | "rename";
      readonly path: string;
      readonly to: string;
    }
  | {
      readonly do: "device";
      readonly path: string;
      readonly block: boolean;
      readonly major: number;
      readonly minor: number;
    }
  | { readonly do: "mode"; readonly path: string; readonly mode: number }
  | { readonly do: "owner"; readonly path: string; readonly uid: number; readonly gid: number }
  | { readonly do: "time"; readonly path: string; readonly ns: string }
  | { readonly do: "xattr"; readonly path: string; readonly name: string; readonly value: string };

/** What a tree holds, as a program that knows nothing of tsbuild sees it. */
export type WildDump = Readonly<Record<string, string>>;

/** Makes the changes inside a mounted state, in a mount namespace of its own. */
export function changeMounted(mount: RootfsMount, changes: readonly WildChange[]): void {
  runMounted(mountCommand(mount), { act: call("change"), input: JSON.stringify(changes) });
}

/** Makes the changes in a directory. */
export function changeDirectory(directory: string, changes: readonly WildChange[]): void {
  run(["sh", "-ec", `target='${directory}'; ${call("change")}`], JSON.stringify(changes));
}

/** What the kernel shows of a state. */
export function dumpMounted(mount: RootfsMount): WildDump {
  return dumpMountedBy(mountCommand(mount));
}

/** What is on `"$target"` after a shell command has mounted it there. */
export function dumpMountedBy(command: string): WildDump {
  return JSON.parse(runMounted(command, { act: call("dump") }).toString()) as WildDump;
}

/** What lies in a directory that somebody else has unpacked. */
export function dumpDirectory(directory: string): WildDump {
  const told = run(["sh", "-ec", `target='${directory}'; ${call("dump")}`]);
  return JSON.parse(told.toString()) as WildDump;
}

/** Without the root's own time, which some set as they like while they unpack. */
export function withoutRootTime(dump: WildDump): WildDump {
  return changeTimes(dump, (time, path) => (path === "" ? "any time" : time));
}

/** What GNU tar makes of it, which knows of several names only for files and links, not for devices and FIFOs. */
export function withLinksOfGnuTar(dump: WildDump): WildDump {
  const lines = Object.entries(dump).map(([path, line]): [string, string] => {
    const [, first = ""] = /^another name of (.*)$/s.exec(line) ?? [];
    const firstLine = dump[first] ?? "";
    return [path, /^0o(?:10|20|60)\d{3,4} /.test(firstLine) ? firstLine : line];
  });
  return Object.fromEntries(lines);
}

/** The same, with times in whole seconds: what tars without PAX records can hold. */
export function inWholeSeconds(dump: WildDump, round: "down" | "to the nearest"): WildDump {
  const added = round === "down" ? 0n : second / 2n;
  const rounded = (time: string): string => {
    const moved = BigInt(time) + added;
    return String(moved - (((moved % second) + second) % second));
  };
  return changeTimes(withoutRootTime(dump), (time) => time.replace(/^-?\d+$/, rounded));
}

const second = 1_000_000_000n;

function changeTimes(dump: WildDump, change: (time: string, path: string) => string): WildDump {
  const lines = Object.entries(dump).map(([path, line]): [string, string] => {
    const [mode = "", owner = "", time = "", ...rest] = line.split(" ");
    return [path, mode === "another" ? line : [mode, owner, change(time, path), ...rest].join(" ")];
  });
  return Object.fromEntries(lines);
}

/** A state as GNU tar packs it. */
export function packMounted(mount: RootfsMount): Buffer {
  const flags = "--format=posix --xattrs --xattrs-include='*' --numeric-owner";
  return runMounted(mountCommand(mount), { act: `tar -C "$target" ${flags} -c .` });
}

function call(verb: "change" | "dump"): string {
  return `python3 -S '${program}' ${verb} "$target"`;
}

function runMounted(
  mount: string,
  { act, input }: { readonly act: string; readonly input?: string },
): Buffer {
  const script = `target=$(mktemp -d); ${mount}; ${act}; umount "$target"; rmdir "$target"`;
  return run(["unshare", "-m", "sh", "-ec", script], input);
}

function run([command = "", ...args]: readonly string[], input = ""): Buffer {
  // Debian's own Python first: one that a version manager starts takes ten times as long.
  const env = { ...process.env, PATH: `/usr/bin:${process.env["PATH"] ?? ""}` };
  return execFileSync(command, args, { input, env, maxBuffer: 1 << 28 });
}

const long = "l".repeat(200);
// Few names, so that changes meet; among them such as no text encoding, no shell and no archive format likes.
const names = ["a", "b", "c", "\xff\xfe", ".hidden", "with space\n", "%3D=\\", "\xc3\xbc", long];
const path = fc
  .array(fc.constantFrom(...names), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join("/"));
const target = fc.oneof(
  path,
  path.map((to) => `/${to}`),
  path.map((to) => `../../${to}`),
  fc.constantFrom("a/b", ".", "..", "/", "no/such/thing", "x".repeat(1000), "\xf0\x28"),
);
const id = fc.constantFrom(0, 1000, 65_534, 262_144, 2 ** 21 + 1, 2 ** 32 - 2);
const time = fc
  .bigInt({ min: -2_000_000_000_000_000_000n, max: 4_000_000_000_000_000_000n })
  .map(String);
const bytes = fc.uint8Array({ maxLength: 80 }).map((content) => Buffer.from(content));
/** vfs_cap_data, version 2, with CAP_NET_RAW permitted and effective. */
const capability = "0100000200200000000000000000000000000000";

const change: fc.Arbitrary<WildChange> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("file"),
      path,
      content: bytes.map((content) => content.toString("hex")),
      size: fc.constantFrom(0, 1, 511, 512, 513, 70_000, 1_100_000),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("directory", "remove"), path }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("fifo"), path }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("symlink"), path, to: target }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom("hardlink", "rename"), path, to: path }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("device"),
      path,
      block: fc.boolean(),
      major: fc.constantFrom(1, 8, 254, 4095),
      minor: fc.constantFrom(0, 3, 255, 256, 1_048_575),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("mode"), path, mode: fc.nat(0o7777) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("owner"), path, uid: id, gid: id }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("time"), path, ns: time }) },
  {
    weight: 2,
    arbitrary: fc.oneof(
      fc.record({
        do: fc.constant("xattr"),
        path,
        name: fc.constantFrom("user.binary", "user.a=b", "user.\udcff\udcfe", "trusted.mine"),
        value: bytes.map((value) => value.toString("hex")),
      }),
      fc.record({
        do: fc.constant("xattr"),
        path,
        name: fc.constant("security.capability"),
        value: fc.constant(capability),
      }),
    ),
  },
);

/** Changes that make a layer. */
export const wildChanges = fc.array(change, { minLength: 1, maxLength: 40 });
