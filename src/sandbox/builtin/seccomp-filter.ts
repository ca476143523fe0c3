import { createHash, randomBytes } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeFolder, compileSeccomp, errnoOf, isTsbuildError } from "../../core/index.ts";
import type { SeccompProgram } from "../../core/index.ts";
import { defaultSeccompProfile } from "../seccomp-profile.ts";
import type { SeccompProfile } from "../seccomp-profile.ts";
import type { Host } from "./host.ts";
import { seccompPrologue } from "./seccomp-prologue.ts";

export interface SeccompFilterOptions {
  readonly host: Pick<Host, "arch" | "kernelRelease">;
  /** Compiled filters are kept here, one file a kernel and profile. */
  readonly cacheDir: string;
  /** Where the library's output lies for a moment. */
  readonly stateDir: string;
}

/** Changes when the same profile would be compiled to other bytes. */
const formatVersion = 1;

/** The 32-bit interfaces that each kernel also has: i386 and x32, 32-bit arm. */
const moreArchitectures = { x64: [0x40000003, 0x4000003e], arm64: [0x40000028] } as const;

/**
 * The default profile as classic BPF, from the cache or compiled by libseccomp; undefined when neither is there.
 * @throws SYSCALL_FAILED when the library refuses the profile
 */
export function loadSeccompFilter(options: SeccompFilterOptions): Uint8Array | undefined {
  const profile = defaultSeccompProfile(options.host.arch);
  const path = join(options.cacheDir, `seccomp-${filterKey(profile, options.host)}.bpf`);
  const kept = readKept(path);
  if (kept !== undefined) return kept;
  const program = compile(profile, options);
  if (program === undefined) return undefined;
  const prologue = seccompPrologue({
    rules: profile.rules,
    unknownNames: program.unknownNames,
  });
  const filter = Buffer.concat([prologue, program.bytes]);
  keep(path, filter);
  return filter;
}

function filterKey(profile: SeccompProfile, host: SeccompFilterOptions["host"]): string {
  const inputs = { formatVersion, profile, arch: host.arch, kernelRelease: host.kernelRelease };
  return createHash("sha256").update(JSON.stringify(inputs)).digest("hex").slice(0, 32);
}

function compile(
  profile: SeccompProfile,
  options: SeccompFilterOptions,
): SeccompProgram | undefined {
  try {
    return compileSeccomp({
      ...profile,
      moreArchitectures: moreArchitectures[options.host.arch],
      scratchPath: join(options.stateDir, `seccomp-${randomBytes(6).toString("hex")}`),
    });
  } catch (error) {
    if (isTsbuildError(error, "SYSCALLS_UNAVAILABLE")) return undefined;
    throw error;
  }
}

/** A file that is not whole instructions was not written by us. */
function readKept(path: string): Uint8Array | undefined {
  try {
    const bytes = readFileSync(path);
    return bytes.length > 0 && bytes.length % 8 === 0 ? bytes : undefined;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

function keep(path: string, filter: Uint8Array): void {
  const temporary = `${path}.${randomBytes(6).toString("hex")}`;
  makeFolder(join(path, ".."));
  writeFileSync(temporary, filter, { mode: 0o600 });
  renameSync(temporary, path);
}
