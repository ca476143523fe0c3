import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type * as koffiModule from "koffi";

export type Koffi = typeof koffiModule;

/** What package.json asks for; another package's koffi may lie where ours is looked for. */
export const koffiVersion = "3.3.4";

/**
 * koffi's binary without the scripts around it, which look for the right one of twenty platforms: 1 ms instead of 7. Where
 * it does not lie as npm lays it (pnpm, musl), the package finds it.
 */
export function loadKoffi(): Koffi {
  return loadBinary() ?? (createRequire(import.meta.url)("koffi") as Koffi);
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
