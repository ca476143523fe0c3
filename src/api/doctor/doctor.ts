import { readFileSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { isTsbuildError, loadSyscalls } from "../../core/index.ts";
import {
  effectiveCapabilities,
  inspectSandbox,
  type SandboxInspection,
} from "../../sandbox/index.ts";
import { openSnapshotter, type Snapshotter } from "../../snapshot/index.ts";
import { defaultRoot, openStore, type Store } from "../../store/index.ts";
import type { EngineOptions } from "../engine.ts";
import { describeMachine } from "./machine.ts";

/** One thing that builds depend on. */
export interface DoctorRow {
  /** For programs: stays as it is. */
  readonly name: string;
  /** `weak`: builds run, with less; `broken`: they do not. */
  readonly verdict: "ok" | "weak" | "broken";
  readonly found: string;
  /** What is less than it could be, one line each. */
  readonly weaker: readonly string[];
  /** What would change it, one line each. */
  readonly hints: readonly string[];
}

export interface DoctorReport {
  /** Whether builds with RUN can run here. */
  readonly canBuild: boolean;
  readonly rows: readonly DoctorRow[];
}

/**
 * Looks at everything that builds depend on, by trying it with this process' privileges and this state root. Nothing
 * that goes wrong is an error: it is a row.
 */
export async function examine(options: Pick<EngineOptions, "root"> = {}): Promise<DoctorReport> {
  const rows: DoctorRow[] = [...(await describeMachine()), privileges()];
  const root = options.root ?? defaultRoot();
  const library = await attempt("system calls", loadSyscalls);
  rows.push("row" in library ? library.row : row("system calls", "ok", "koffi is loaded"));
  const opened = await attempt("state", async () => openStore({ root }));
  if ("row" in opened) rows.push(opened.row);
  else {
    try {
      rows.push(...(await examineStore(opened.value)));
    } finally {
      await opened.value.close();
    }
  }
  return { canBuild: rows.every(({ verdict }) => verdict !== "broken"), rows };
}

async function examineStore(store: Store): Promise<readonly DoctorRow[]> {
  const rows: DoctorRow[] = [await place(store.root)];
  const folders = { directory: join(store.root, "snapshots"), tmpDir: store.tmpDir };
  const opened = await attempt("snapshots", async () => openSnapshotter(folders));
  if ("row" in opened) return [...rows, opened.row];
  rows.push(await snapshots(opened.value, folders));
  const stateDir = join(store.tmpDir, "sandbox");
  const hasLayers = opened.value.kind === "overlayfs";
  const steps = await attempt("steps", async () => inspectSandbox({ stateDir, hasLayers }));
  if ("row" in steps) return [...rows, steps.row];
  return [...rows, ...describeSteps(steps.value, hasLayers)];
}

function row(
  name: string,
  verdict: DoctorRow["verdict"],
  found: string,
  more: Partial<Pick<DoctorRow, "weaker" | "hints">> = {},
): DoctorRow {
  return { name, verdict, found, weaker: [], hints: [], ...more };
}

/** A row instead of an error of ours. */
async function attempt<T>(
  name: string,
  work: () => Promise<T>,
): Promise<{ readonly value: T } | { readonly row: DoctorRow }> {
  try {
    return { value: await work() };
  } catch (error) {
    if (!isTsbuildError(error)) throw error;
    const hints = error.hint === undefined ? [] : [error.hint];
    return { row: row(name, "broken", `${error.message} [${error.code}]`, { hints }) };
  }
}

function privileges(): DoctorRow {
  const held = effectiveCapabilities();
  const uid = process.getuid?.() ?? -1;
  const most = held.includes("CAP_SYS_ADMIN")
    ? `${String(held.length)} capabilities`
    : held.join(" ");
  const found = `uid ${String(uid)}, ${most || "no capabilities"}`;
  if (uid === 0) return ofRoot(held, found);
  return row("privileges", "weak", found, {
    weaker: ["files of an image belong to several users, which only root can arrange"],
    hints: ["run as root, for example in a container; see `steps`"],
  });
}

/** What files of images need, and those of a context that are another user's. */
const filesNeed = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "MKNOD", "SETFCAP"];

function ofRoot(held: readonly string[], found: string): DoctorRow {
  const missing = filesNeed.filter((name) => !held.includes(`CAP_${name}`));
  if (missing.length === 0) return row("privileges", "ok", found);
  const closed = missing.includes("DAC_OVERRIDE")
    ? ["files of a context that their modes keep from this process cannot be read"]
    : [];
  return row("privileges", "weak", `${found}; docker gives root also ${missing.join(" ")}`, {
    weaker: [
      "owners and modes of files that are refused here are written down beside them",
      ...closed,
    ],
    hints: [
      `docker run${missing.map((name) => ` --cap-add ${name}`).join("")}`,
      `Kubernetes: securityContext.capabilities.add: [${missing.join(", ")}]`,
    ],
  });
}

/** Names of file systems by their magic numbers. */
const filesystems = new Map([
  [0xef53, "ext4"],
  [0x58465342, "xfs"],
  [0x9123683e, "btrfs"],
  [0x01021994, "tmpfs"],
  [0x794c7630, "overlayfs"],
  [0x6969, "nfs"],
  [0x65735546, "fuse"],
  [0x2fc12fc1, "zfs"],
]);

const tightBytes = 2 * 1024 ** 3;

async function place(root: string): Promise<DoctorRow> {
  const { type, bavail, bsize } = await statfs(root);
  const free = bavail * bsize;
  const name = filesystems.get(type) ?? `type 0x${type.toString(16)}`;
  const found = `${root} on ${name}, ${(free / 1024 ** 3).toFixed(1)} GiB free`;
  if (free >= tightBytes) return row("state", "ok", found);
  return row("state", "weak", found, {
    weaker: ["a large image may fill the disk"],
    hints: ["`tsbuild system prune` frees space; --root names another place"],
  });
}

async function snapshots(
  { kind }: Snapshotter,
  folders: { readonly directory: string; readonly tmpDir: string },
): Promise<DoctorRow> {
  if (kind === "overlayfs") return row("snapshots", "ok", "overlayfs: a layer is its own changes");
  const why = await attempt("snapshots", async () =>
    openSnapshotter({ ...folders, kind: "overlayfs" }),
  );
  const found = "row" in why ? why.row.found : "it was not wanted";
  return row("snapshots", "weak", `copies, since overlayfs does not work here: ${found}`, {
    weaker: ["a RUN works on a copy of its whole tree, which takes time and space"],
    hints: [
      "let the state lie on a volume instead of the container's own overlay (docker run -v, emptyDir), and give CAP_SYS_ADMIN",
    ],
  });
}

function describeSteps(steps: SandboxInspection, hasLayers: boolean): readonly DoctorRow[] {
  return [isolation(steps, hasLayers), filter(steps), cgroups(steps), network(steps)];
}

function isolation(steps: SandboxInspection, hasLayers: boolean): DoctorRow {
  const { refused, chrootRefused, knobs, weaker } = steps;
  if (refused === undefined)
    return row("steps", "ok", "builtin: namespaces and mounts of their own");
  const said = `${refused.what}: ${refused.syscall} says ${refused.errno}`;
  if (steps.rung === "chroot") {
    return row("steps", "weak", `chroot, since namespaces or mounts are refused: ${said}`, {
      weaker,
      hints: knobs,
    });
  }
  const other =
    chrootRefused === undefined && hasLayers
      ? "say --isolation chroot: `auto` cannot choose it, since layers here are put together by mounts"
      : chrootRefused?.hint;
  const found = `none: ${said}${chrootRefused === undefined ? "" : `; ${chrootRefused.message}`}`;
  return row("steps", "broken", found, {
    hints: [...knobs, ...(other === undefined ? [] : [other])],
  });
}

function filter({ filter: kind }: SandboxInspection): DoctorRow {
  switch (kind) {
    case "own":
      return row("seccomp", "ok", "every step gets Docker's default profile");
    case "inherited":
      return row("seccomp", "ok", "steps keep the filter of this container");
    case "none":
      return row("seccomp", "weak", "system calls of steps are not filtered", {
        weaker: ["a step may make every system call that its capabilities allow"],
        hints: ["as root with CAP_SYS_ADMIN: install libseccomp (Debian package libseccomp2)"],
      });
  }
}

function cgroups({ cgroups: points }: SandboxInspection): DoctorRow {
  if (points.length > 0) return row("cgroups", "ok", `writable at ${points.join(" ")}`);
  return row("cgroups", "weak", "no control group can be made here", {
    weaker: ["--memory, --cpu-shares and their like are ignored, with a warning"],
    hints: ["set limits for the container around it"],
  });
}

function network({ rung }: SandboxInspection): DoctorRow {
  const servers = readFileSync("/etc/resolv.conf", "utf8").match(/^nameserver/gm)?.length ?? 0;
  const found = `RUN has the network of this machine or container; ${String(servers)} name servers`;
  if (rung === "builtin") return row("network", "ok", `${found}; --network=none works`);
  return row("network", "weak", found, { weaker: ["RUN --network=none is refused"] });
}
