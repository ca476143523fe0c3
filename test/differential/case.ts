import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Feature } from "./engines/engine.ts";
import type { MeantDifference } from "./meant.ts";

/** Where the cases lie; folders that begin with `_` are shared by cases. */
export const casesFolder = resolve(import.meta.dirname, "../../fixtures/differential");

/** One Dockerfile that tsbuild and a reference build; test/differential/README.md tells what a folder may hold. */
export interface DifferentialCase {
  readonly name: string;
  readonly folder: string;
  readonly options: CaseOptions;
}

/** What `options.json` may say. */
export interface CaseOptions {
  /** Numbers of the statements in docs/spec/dockerfile.md that the case is about. */
  readonly statements?: readonly string[];
  /** Folder of `_contexts/` that is laid into the context before the case's own files. */
  readonly context?: string;
  /** Flags of the build, the same for every builder; paths in them are relative to the copy of the case. */
  readonly flags?: readonly string[];
  /** What the reference must be able to do; a reference that cannot is skipped. */
  readonly needs?: readonly Feature[];
  /** Both builders must refuse, and both say this. */
  readonly fails?: string;
  /** Selector of engines, such as `docker<23` → why they are no judges of this case. */
  readonly skip?: Readonly<Record<string, string>>;
  readonly meant?: readonly MeantDifference[];
}

/** All cases by name, sorted. */
export function readCases(): DifferentialCase[] {
  return readdirSync(casesFolder)
    .filter((name) => existsSync(join(casesFolder, name, "Dockerfile")))
    .sort()
    .map((name) => {
      const folder = join(casesFolder, name);
      return { name, folder, options: readOptions(join(folder, "options.json")) };
    });
}

function readOptions(path: string): CaseOptions {
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as CaseOptions) : {};
}
