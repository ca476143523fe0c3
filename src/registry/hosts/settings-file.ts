import { stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { errnoOf, readSmallFile, whyUnreadable } from "../../core/index.ts";
import { registryError } from "../errors.ts";
import type { SettingsPlace } from "./types.ts";

/** A table of a settings file, not yet believed. */
export type Table = Readonly<Record<string, unknown>>;

/** The user's own folder of settings. */
export function configHome({ env }: SettingsPlace): string {
  return env["XDG_CONFIG_HOME"] || join(env["HOME"] || homedir(), ".config");
}

/** The text of a file; undefined when it is not there. @throws REGISTRY_SETTINGS_INVALID when it cannot be read */
export function readSettings(path: string): string | undefined {
  try {
    return readSmallFile(path, { limit: maxSettings }).toString("utf8");
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) return undefined;
    throw settingsError(path, whyUnreadable(error), error);
  }
}

/** Bytes. */
const maxSettings = 4 * 1024 * 1024;

/** Whether a folder is there. */
export async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/** @throws REGISTRY_SETTINGS_INVALID with `path` and line */
export async function parseToml(path: string, text: string): Promise<Table> {
  // Loaded here, because most machines have no such file.
  const { parse, TomlError } = await import("smol-toml");
  try {
    return parse(text);
  } catch (error) {
    const place = error instanceof TomlError ? `${path}:${String(error.line)}` : path;
    throw settingsError(place, "it is not TOML", error);
  }
}

/** @throws REGISTRY_SETTINGS_INVALID */
export function parseJsonSettings(path: string, text: string): Table {
  try {
    const value: unknown = JSON.parse(text);
    if (isTable(value)) return value;
  } catch (error) {
    throw settingsError(path, "it is not JSON", error);
  }
  throw settingsError(path, "it is no JSON object");
}

export function isTable(value: unknown): value is Table {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Reads the fields of a table, and refuses those of another type with the file's name. */
export class Fields {
  readonly path: string;
  readonly #table: Table;
  /** How messages name the table, such as `[[registry]]`. */
  readonly #name: string;

  constructor(path: string, table: Table, name: string) {
    this.path = path;
    this.#table = table;
    this.#name = name;
  }

  string(field: string): string {
    const value = this.#table[field] ?? "";
    return typeof value === "string" ? value : this.refuse(field, "a string");
  }

  boolean(field: string): boolean {
    const value = this.#table[field] ?? false;
    return typeof value === "boolean" ? value : this.refuse(field, "true or false");
  }

  /** A single string counts as a list of one. */
  strings(field: string): readonly string[] {
    const value = this.#table[field] ?? [];
    const list = typeof value === "string" ? [value] : value;
    return Array.isArray(list) && list.every((item) => typeof item === "string")
      ? list
      : this.refuse(field, "a list of strings");
  }

  table(field: string): Table {
    const value = this.#table[field] ?? {};
    return isTable(value) ? value : this.refuse(field, "a table");
  }

  tables(field: string): readonly Table[] {
    const value = this.#table[field] ?? [];
    return Array.isArray(value) && value.every(isTable)
      ? value
      : this.refuse(field, "a list of tables");
  }

  value(field: string): unknown {
    return this.#table[field];
  }

  refuse(field: string, expected: string): never {
    throw settingsError(this.path, `${field} of ${this.#name} must be ${expected}`);
  }
}

export function settingsError(path: string, reason: string, cause?: unknown): Error {
  return registryError(
    "REGISTRY_SETTINGS_INVALID",
    `read settings of registries ${path}: ${reason}`,
    {
      hint: "mend the file, or move it away",
      details: { path },
      cause,
    },
  );
}
