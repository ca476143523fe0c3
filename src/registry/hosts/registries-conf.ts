import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { registryError } from "../errors.ts";
import { configHome, Fields, parseToml, readSettings, settingsError } from "./settings-file.ts";
import type { Serving, SettingsPlace } from "./types.ts";

/** A place that registries.conf leads to: `host[:port]/path`. */
export interface ConfiguredPlace {
  readonly name: string;
  readonly isInsecure: boolean;
  readonly serves: Serving;
}

/** What registries.conf says of one repository. */
export interface ConfiguredRoute {
  readonly primary: ConfiguredPlace;
  readonly mirrors: readonly ConfiguredPlace[];
}

interface Entry {
  readonly path: string;
  readonly prefix: string;
  readonly location: string;
  readonly isBlocked: boolean;
  readonly isInsecure: boolean;
  readonly mirrors: readonly Mirror[];
}

interface Mirror {
  readonly location: string;
  readonly isInsecure: boolean;
  readonly serves: Serving;
}

/**
 * What registries.conf (version 2) and its drop-ins say of a repository, `docker.io/library/app`; undefined when they
 * say nothing.
 * @throws REGISTRY_SETTINGS_INVALID; REGISTRY_BLOCKED when it must not be used
 * @see containers-registries.conf(5)
 */
export async function findConfiguredRoute(
  name: string,
  place: SettingsPlace,
): Promise<ConfiguredRoute | undefined> {
  const entries = new Map<string, Entry>();
  for (const path of await configPaths(place)) {
    const text = readSettings(path);
    if (text === undefined || !namesRegistries(text)) continue;
    for (const entry of readEntries(new Fields(path, await parseToml(path, text), "the file"))) {
      entries.set(entry.prefix, entry);
    }
  }
  const [best] = [...entries.values()]
    .filter(({ prefix }) => matchedLength(name, prefix) > 0)
    .sort((a, b) => b.prefix.length - a.prefix.length);
  if (best === undefined) return undefined;
  if (best.isBlocked) throw blocked(name, best);
  const rest = name.slice(matchedLength(name, best.prefix));
  return {
    primary: {
      name: best.location === "" ? name : best.location + rest,
      isInsecure: best.isInsecure,
      serves: "all",
    },
    mirrors: best.mirrors.map(({ location, isInsecure, serves }) => ({
      name: location + rest,
      isInsecure,
      serves,
    })),
  };
}

/**
 * Whether a line begins a table or a list `registry` (or `registries`, of the first version). The long lists of short names, which
 * distributions lay beside, have none, and to read them as TOML takes 8 ms.
 */
function namesRegistries(text: string): boolean {
  return /^\s*(?:\[[\s["']*registr|["']?registr\w+["']?\s*(?:\.|=\s*\[))/m.test(text);
}

async function configPaths(place: SettingsPlace): Promise<readonly string[]> {
  const folders = [join(place.system, "containers"), join(configHome(place), "containers")];
  const candidates = folders.map((folder) => join(folder, "registries.conf")).reverse();
  const own = place.env["CONTAINERS_REGISTRIES_CONF"];
  const main = own ? [own] : firstThatIs(candidates);
  const parts: string[] = [];
  for (const folder of folders) {
    const path = join(folder, "registries.conf.d");
    const names = await readdir(path).catch(() => []);
    const chosen = names.filter((name) => name.endsWith(".conf")).sort();
    parts.push(...chosen.map((name) => join(path, name)));
  }
  return [...main, ...parts];
}

function firstThatIs(paths: readonly string[]): readonly string[] {
  for (const path of paths) if (readSettings(path) !== undefined) return [path];
  return [];
}

function readEntries(file: Fields): readonly Entry[] {
  // Of the first version of this format: it knew no mirrors, and its lists of insecure hosts are long replaced.
  if (file.value("registries") !== undefined) return [];
  return file.tables("registry").map((table) => {
    const fields = new Fields(file.path, table, "[[registry]]");
    const location = trimmed(fields.string("location"));
    const prefix = trimmed(fields.string("prefix")) || location;
    if (prefix === "") return fields.refuse("prefix or location", "there");
    if (location === "" && !prefix.startsWith("*.")) fields.refuse("location", "there");
    const isDigestOnly = fields.boolean("mirror-by-digest-only");
    return {
      path: file.path,
      prefix,
      location,
      isBlocked: fields.boolean("blocked"),
      isInsecure: fields.boolean("insecure"),
      mirrors: fields
        .tables("mirror")
        .map((mirror) => readMirror(new Fields(file.path, mirror, "a mirror"), isDigestOnly)),
    };
  });
}

function readMirror(fields: Fields, isDigestOnly: boolean): Mirror {
  const location = trimmed(fields.string("location"));
  if (location === "") fields.refuse("location", "there");
  const kind = fields.string("pull-from-mirror");
  if (kind !== "" && isDigestOnly) {
    throw settingsError(
      fields.path,
      "mirror-by-digest-only of a registry and pull-from-mirror of its mirrors exclude each other",
    );
  }
  return {
    location,
    isInsecure: fields.boolean("insecure"),
    serves: servingOf(fields, kind, isDigestOnly),
  };
}

function servingOf(fields: Fields, kind: string, isDigestOnly: boolean): Serving {
  switch (kind) {
    case "":
      return isDigestOnly ? "digests" : "all";
    case "all":
      return "all";
    case "digest-only":
      return "digests";
    case "tag-only":
      return "tags";
    default:
      return fields.refuse("pull-from-mirror", "all, digest-only or tag-only");
  }
}

/** How much of a name a prefix covers; 0 when it is none of it. A prefix ends where a part of the name ends. */
function matchedLength(name: string, prefix: string): number {
  if (prefix.startsWith("*.")) {
    const host = name.slice(0, name.indexOf("/"));
    const [suffix = "", ...path] = prefix.slice(1).split("/");
    const bare = host.replace(/:\d+$/, "");
    if (!host.endsWith(suffix) && !bare.endsWith(suffix)) return 0;
    return path.length === 0 ? host.length : matchedLength(name, [host, ...path].join("/"));
  }
  if (!name.startsWith(prefix)) return 0;
  return name.length === prefix.length || name[prefix.length] === "/" ? prefix.length : 0;
}

function trimmed(location: string): string {
  return location.replace(/\/+$/, "");
}

function blocked(name: string, { path, prefix }: Entry): Error {
  return registryError("REGISTRY_BLOCKED", `use ${name}: ${path} blocks ${prefix}`, {
    hint: `whoever keeps ${path} does not want this registry to be used`,
    details: { path, prefix, name },
  });
}
