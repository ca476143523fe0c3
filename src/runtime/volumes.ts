import { stat } from "node:fs/promises";
import { homedir } from "node:os";
import { resolve } from "node:path";
import { errnoOf, makeFolder } from "../core/index.ts";
import type { SandboxMount } from "../sandbox/index.ts";
import { runtimeError } from "./errors.ts";

/** A `-v` value after reading: a directory or file of the host at a place in the container. */
export interface VolumeSpec {
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

const ignoredOptions = new Set(["rw", "z", "Z", "cached", "delegated", "consistent"]);

/** `SRC:DST[:ro]` with a path as SRC. @throws RUNTIME_VOLUME_INVALID */
export function parseVolume(text: string): VolumeSpec {
  const [source, target, options = "", ...rest] = text.split(":");
  if (source === undefined || target === undefined || rest.length > 0) throw invalid(text);
  if (!/^[/.~]/.test(source)) {
    throw runtimeError("RUNTIME_VOLUME_INVALID", `mount volume ${JSON.stringify(source)}`, {
      hint: "named volumes are not there yet: give a path that begins with / or .",
    });
  }
  if (!target.startsWith("/") || /^\/+$/.test(target)) throw invalid(text);
  const words = options.split(",").filter((word) => word !== "");
  const unknown = words.find((word) => word !== "ro" && !ignoredOptions.has(word));
  if (unknown !== undefined) throw invalid(text);
  return { source: expandHome(source), target, readOnly: words.includes("ro") };
}

/** A missing source becomes a directory, as docker's `-v` has it. */
export async function openVolume(
  volume: VolumeSpec,
): Promise<SandboxMount & { readonly type: "bind" }> {
  const { source, target, readOnly } = volume;
  try {
    await stat(source);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
    makeFolder(source);
  }
  return { type: "bind", source, target, readOnly };
}

function expandHome(path: string): string {
  if (path === "~" || path.startsWith("~/")) return resolve(homedir(), path.slice(2));
  return resolve(path);
}

function invalid(text: string): Error {
  return runtimeError("RUNTIME_VOLUME_INVALID", `mount volume ${JSON.stringify(text)}`, {
    hint: "write -v /host/path:/container/path, with :ro behind it for read-only",
  });
}
