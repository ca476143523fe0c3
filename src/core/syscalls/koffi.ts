import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type * as koffiModule from "koffi";
import { coreError } from "../errors.ts";

export type Koffi = typeof koffiModule;

/** What package.json asks for; another package's koffi may lie where ours is looked for. */
export const koffiVersion = "3.3.4";

/**
 * koffi's binary without the scripts around it, which look for the right one of twenty platforms: 1 ms instead of 7. Where
 * it does not lie as npm lays it (Yarn, musl), the package finds it. It is an optional dependency, which package managers
 * may leave out.
 * @throws SYSCALLS_UNAVAILABLE
 */
export function loadKoffi(): Koffi {
  try {
    return loadBinary() ?? (createRequire(import.meta.url)("koffi") as Koffi);
  } catch (error) {
    throw unavailable(error);
  }
}

/** SYSCALLS_UNAVAILABLE */
export function unavailable(cause: unknown): Error {
  return coreError("SYSCALLS_UNAVAILABLE", "load the system call library koffi", {
    hint: "install tsbuild together with its optional dependencies, on Linux for x86-64 or arm64",
    details: { platform: process.platform, architecture: process.arch },
    cause,
  });
}

function loadBinary(): Koffi | undefined {
  const platform = `linux-${process.arch}`;
  const binary = join(`@koromix/koffi-${platform}`, platform.replace("-", "_"), "koffi.node");
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const path = join(folder, "node_modules", binary);
    if (existsSync(path)) return loadFile(path);
    if (folder === dirname(folder)) return undefined;
  }
}

function loadFile(path: string): Koffi | undefined {
  const module: { readonly exports: unknown } = { exports: {} };
  try {
    process.dlopen(module, path);
  } catch {
    // Made for another C library: the package chooses, or tells why none fits.
    return undefined;
  }
  const loaded = module.exports as Koffi;
  return loaded.version === koffiVersion ? loaded : undefined;
}
