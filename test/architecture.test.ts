import { readdirSync, readFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { expect, test } from "vitest";

const src = resolve(import.meta.dirname, "../src");

/** A folder imports only from folders of a lower level, through their index.ts. */
const levels: Readonly<Record<string, number>> = {
  core: 0,
  image: 1,
  dockerfile: 1,
  layer: 1,
  context: 2,
  store: 2,
  snapshot: 2,
  sandbox: 2,
  registry: 2,
  "object-storage": 2,
  plan: 2,
  local: 3,
  cache: 3,
  "cache-mounts": 3,
  archive: 3,
  build: 4,
  runtime: 4,
  api: 5,
  cli: 6,
};

/** Each third-party package has one folder that may import it; koffi's doors are few and named. */
const owners: Readonly<Record<string, readonly string[]>> = {
  undici: ["core"],
  koffi: ["core"],
  "dockerfile-ast": ["dockerfile"],
  "vscode-languageserver-types": ["dockerfile"],
  "tar-stream": ["layer"],
  fzstd: ["layer"],
  minimatch: ["context"],
  "smol-toml": ["registry"],
  commander: ["cli"],
  ora: ["cli"],
};

/** The one file outside src/ that may be imported: the version stands there. */
const packageJson = "../../package.json";

/** The cli is a thin skin: it sees the api and the core, nothing else. */
const cliMayImport = ["api", "core"];

interface Import {
  readonly file: string;
  readonly folder: string;
  readonly specifier: string;
  readonly typeOnly: boolean;
}

const imports = readdirSync(src, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .flatMap((name) => importsOf(join(src, name)));

test("every folder of src is in the table", () => {
  const folders = readdirSync(src, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  expect(folders.map((folder) => folder.name).sort()).toEqual(Object.keys(levels).sort());
});

test("folders import only from lower levels, through index.ts", () => {
  expect(imports.flatMap(violationOf)).toEqual([]);
});

test("third-party packages are imported only by their owner", () => {
  const violations = imports
    .filter(({ specifier }) => !specifier.startsWith(".") && !specifier.startsWith("node:"))
    .filter(({ specifier, folder }) => {
      const name = specifier
        .split("/")
        .slice(0, specifier.startsWith("@") ? 2 : 1)
        .join("/");
      return !owners[name]?.includes(folder);
    })
    .map(({ file, specifier }) => `${file} imports package ${specifier}`);
  expect(violations).toEqual([]);
});

test("there are no import cycles between files", () => {
  const graph = new Map<string, string[]>();
  for (const { file, specifier, typeOnly } of imports) {
    if (typeOnly || !specifier.startsWith(".")) continue;
    const target = relative(src, resolve(src, file, "..", specifier));
    graph.set(file, [...(graph.get(file) ?? []), target]);
  }
  expect(cyclesOf(graph)).toEqual([]);
});

function violationOf({ file, folder, specifier }: Import): string[] {
  if (!specifier.startsWith(".") || specifier === packageJson) return [];
  const target = relative(src, resolve(src, file, "..", specifier));
  const targetFolder = target.split("/")[0] ?? "";
  if (targetFolder === folder) return [];
  const told = `${file} imports ${target}`;
  if (!(targetFolder in levels)) return [`${told}: no such folder in the table`];
  if ((levels[targetFolder] ?? 0) >= (levels[folder] ?? 0)) return [`${told}: not a lower level`];
  if (target !== `${targetFolder}/index.ts`) return [`${told}: not through index.ts`];
  if (folder === "cli" && !cliMayImport.includes(targetFolder))
    return [`${told}: cli sees only api and core`];
  return [];
}

function importsOf(path: string): Import[] {
  const file = relative(src, path);
  const folder = file.split("/")[0] ?? "";
  const text = readFileSync(path, "utf8");
  const statements = text.matchAll(
    /^\s*(?:import|export)\s+(type\s+)?(?:[^"';]*?\sfrom\s+)?["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)/gm,
  );
  return [...statements].map((match) => ({
    file,
    folder,
    specifier: match[2] ?? match[3] ?? "",
    // A dynamic import runs later, so it does not make a load-order cycle.
    typeOnly: match[1] !== undefined || match[3] !== undefined,
  }));
}

function cyclesOf(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) {
      cycles.push([...path.slice(path.indexOf(file)), file].join(" -> "));
      return;
    }
    if (done.has(file)) return;
    for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  return cycles;
}
