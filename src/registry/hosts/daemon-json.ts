import { join } from "node:path";
import { readSmallFile } from "../../core/index.ts";
import { configHome, Fields, parseJsonSettings } from "./settings-file.ts";
import type { SettingsPlace } from "./types.ts";

/** What dockerd's own settings say of registries, so that builds without it find the same ones. */
export interface DaemonSettings {
  readonly insecure: readonly string[];
  /** URLs of mirrors of Docker Hub. */
  readonly mirrors: readonly string[];
}

/**
 * Reads daemon.json, that of the user's own dockerd first.
 * @throws REGISTRY_SETTINGS_INVALID
 */
export function readDaemonSettings(place: SettingsPlace): DaemonSettings {
  for (const folder of [configHome(place), place.system]) {
    const path = join(folder, "docker/daemon.json");
    const text = readIfAllowed(path);
    if (text.trim() === "") continue;
    const fields = new Fields(path, parseJsonSettings(path, text), "the file");
    return {
      insecure: fields.strings("insecure-registries"),
      mirrors: fields.strings("registry-mirrors"),
    };
  }
  return { insecure: [], mirrors: [] };
}

/** It is meant for dockerd: who may not read it does without. */
function readIfAllowed(path: string): string {
  try {
    return readSmallFile(path, { limit: 1024 * 1024 }).toString("utf8");
  } catch {
    return "";
  }
}
