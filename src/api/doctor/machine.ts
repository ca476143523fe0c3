import { readFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { readBinfmt } from "../../build/index.ts";
import { errnoOf } from "../../core/index.ts";
import { findProgram } from "../../layer/index.ts";
import type { DoctorRow } from "./doctor.ts";

/** What does not depend on where the state lies. */
export async function describeMachine(): Promise<readonly DoctorRow[]> {
  return [node(), kernel(), zstd(), await foreignPrograms()];
}

const nothing = { weaker: [], hints: [] };

function node(): DoctorRow {
  const found = `Node ${process.version} on ${process.platform}/${process.arch}`;
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major > 20 || (major === 20 && minor >= 18))
    return { name: "node", verdict: "ok", found, ...nothing };
  return {
    name: "node",
    verdict: "broken",
    found,
    weaker: [],
    hints: ["install Node 20.18 or newer"],
  };
}

function kernel(): DoctorRow {
  const [major = 0, minor = 0] = release().split(/[.-]/).map(Number);
  const found = `Linux ${release()}${describeLocks()}`;
  if (major > 5 || (major === 5 && minor >= 12))
    return { name: "kernel", verdict: "ok", found, ...nothing };
  return {
    name: "kernel",
    verdict: "broken",
    found,
    weaker: [],
    hints: ["Linux 5.12 or newer is needed"],
  };
}

/** What distributions set against namespaces of users. They only matter without root. */
function describeLocks(): string {
  const told = ["kernel.apparmor_restrict_unprivileged_userns", "user.max_user_namespaces"].flatMap(
    (name) => {
      const value = readSetting(name);
      return value === undefined ? [] : [`${name}=${value}`];
    },
  );
  return told.length === 0 ? "" : ` (${told.join(", ")})`;
}

function readSetting(name: string): string | undefined {
  try {
    return readFileSync(join("/proc/sys", ...name.split(".")), "utf8").trim();
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "EACCES") return undefined;
    throw error;
  }
}

function zstd(): DoctorRow {
  if ("createZstdDecompress" in process.getBuiltinModule("node:zlib")) {
    return { name: "zstd", verdict: "ok", found: "built into this Node", ...nothing };
  }
  const program = findProgram("zstd");
  if (program !== undefined) return { name: "zstd", verdict: "ok", found: program, ...nothing };
  return {
    name: "zstd",
    verdict: "weak",
    found: "read by this package; neither this Node nor a program can write it",
    weaker: ["layers cannot be written with --compression zstd"],
    hints: ["install zstd, or Node 22.15 or newer"],
  };
}

async function foreignPrograms(): Promise<DoctorRow> {
  const entries = await readBinfmt();
  const name = "other platforms";
  if (entries === undefined) {
    return {
      name,
      verdict: "ok",
      found: "the kernel does not show its emulators here; they may be at work",
      ...nothing,
    };
  }
  const emulators = [
    ...new Set(entries.filter(({ isFixed }) => isFixed).map(({ interpreter }) => interpreter)),
  ];
  if (emulators.length > 0) {
    return {
      name,
      verdict: "ok",
      found: `${String(emulators.length)} emulators, such as ${emulators[0] ?? ""}`,
      ...nothing,
    };
  }
  return {
    name,
    verdict: "weak",
    found: "no emulator",
    weaker: ["RUN of other platforms does not work"],
    hints: [
      "docker run --privileged --rm tonistiigi/binfmt --install all, or package qemu-user-static",
    ],
  };
}
