import { homedir } from "node:os";
import { join } from "node:path";
import { errnoOf, readSmallFile } from "../core/index.ts";
import { objectStorageError } from "./errors.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** Sections of an ini file, by name. */
type Sections = ReadonlyMap<string, ReadonlyMap<string, string>>;

const largest = 1024 * 1024;

/** A profile of the files that Amazon's tools share, and where the credentials in it came from. */
export interface AwsProfile {
  readonly name: string;
  readonly credentialsFile: string;
  /** Settings of both files; those of the credentials file win. */
  readonly values: ReadonlyMap<string, string>;
}

/**
 * Reads the profile that `AWS_PROFILE` names, `default` unless it does, from the credentials file and the config file. No
 * file is an empty one. @throws OBJECT_STORAGE_CREDENTIALS_INVALID for a file that cannot be read
 */
export function readAwsProfile(environment: Environment): AwsProfile {
  const name = environment["AWS_PROFILE"] || "default";
  const folder = join(environment["HOME"] || homedir(), ".aws");
  const credentialsFile = environment["AWS_SHARED_CREDENTIALS_FILE"] || join(folder, "credentials");
  const configFile = environment["AWS_CONFIG_FILE"] || join(folder, "config");
  const config = readSections(configFile);
  const section = name === "default" ? name : `profile ${name}`;
  const values = new Map([
    ...(config.get(section) ?? []),
    ...(readSections(credentialsFile).get(name) ?? []),
  ]);
  return { name, credentialsFile, values };
}

function readSections(path: string): Sections {
  let text: string;
  try {
    text = readSmallFile(path, { limit: largest }).toString("utf8");
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) return new Map();
    throw objectStorageError("OBJECT_STORAGE_CREDENTIALS_INVALID", `read ${path}`, {
      hint: "make it a file that you may read",
      details: { path, reason: errnoOf(error) },
      cause: error,
    });
  }
  return parseSections(text);
}

/** Lines that are neither a section nor `name = value` say nothing; settings that are indented belong to the one before. */
export function parseSections(text: string): Sections {
  const sections = new Map<string, Map<string, string>>();
  let section: Map<string, string> | undefined;
  for (const line of text.split(/\r?\n/)) {
    if (/^\s*[#;]/.test(line) || /^\s/.test(line)) continue;
    const title = /^\[\s*([^\]]*?)\s*\]/.exec(line)?.[1];
    if (title !== undefined) {
      const name = title.replace(/\s+/g, " ");
      section = sections.get(name) ?? new Map<string, string>();
      sections.set(name, section);
      continue;
    }
    const setting = /^([^=\s]+)\s*=\s*(.*?)\s*$/.exec(line);
    const [, key, value] = setting ?? [];
    if (key !== undefined && value !== undefined) section?.set(key.toLowerCase(), value);
  }
  return sections;
}
