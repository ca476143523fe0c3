import type { CompareOptions } from "../compare.ts";

/** What a Dockerfile may need that not every reference knows. */
export const features = [
  "heredoc",
  "link",
  "parents",
  "exclude",
  "unpack",
  "symbolic-chmod",
  "run-mount",
  "run-network",
  "build-context",
  "start-interval",
  "expansion-patterns",
  "onbuild-heredoc",
] as const;

export type Feature = (typeof features)[number];

/** What a build came to: a docker archive with the image, or what the builder printed when it refused. */
export type BuildOutcome =
  | { readonly kind: "built"; readonly archive: string }
  | { readonly kind: "refused"; readonly output: string };

export interface BuildRequest {
  /** The builder's current folder. */
  readonly folder: string;
  /** The context, from `folder`. */
  readonly context: string;
  /** Name that the image gets. */
  readonly tag: string;
  readonly flags: readonly string[];
  /** File to write the image to. */
  readonly archive: string;
}

/** Somebody who builds Dockerfiles: tsbuild, or one whose results are the reference. */
export interface Builder {
  /** Makes the images of a docker archive usable in FROM. */
  load(archive: string): Promise<void>;
  build(request: BuildRequest): Promise<BuildOutcome>;
  /** Ends what was started and removes what was written. */
  close(): Promise<void>;
}

/** A reference. */
export interface Engine extends Builder {
  readonly name: "buildkit" | "docker" | "buildah";
  /** Major and minor number. */
  readonly version: readonly [number, number];
  /** What is compared when this engine is the judge. */
  readonly compares: Omit<CompareOptions, "builtAfter">;
  readonly features: ReadonlySet<Feature>;
  /** What its checks say of a Dockerfile that is not built, as `--call=check,format=json` prints it; not every engine can. */
  check?(request: Pick<BuildRequest, "folder" | "context" | "flags">): Promise<string>;
}

/** Whether a selector such as `docker`, `docker<23` or `docker>=28.1, buildkit` means this engine. */
export function isSelected(engine: Pick<Engine, "name" | "version">, selector: string): boolean {
  return selector.split(", ").some((one) => isSelectedByOne(engine, one));
}

function isSelectedByOne(
  { name, version }: Pick<Engine, "name" | "version">,
  selector: string,
): boolean {
  const parsed = /^([a-z]+)(?:(<|>=)(\d+)(?:\.(\d+))?)?$/.exec(selector);
  if (parsed === null) throw new Error(`${selector} selects no engine`);
  const [, wanted, comparison, major = "0", minor = "0"] = parsed;
  if (wanted !== name) return false;
  const isOlder = isBefore(version, [Number(major), Number(minor)]);
  return comparison === undefined || (comparison === "<" ? isOlder : !isOlder);
}

/** Compares `MAJOR.MINOR`. */
export function isBefore(
  one: readonly [number, number],
  other: readonly [number, number],
): boolean {
  return one[0] < other[0] || (one[0] === other[0] && one[1] < other[1]);
}

/** The features whose first version is not above `version`. */
export function featuresSince(
  version: readonly [number, number],
  since: Readonly<Partial<Record<Feature, readonly [number, number]>>>,
): ReadonlySet<Feature> {
  return new Set(
    features.filter((feature) => {
      const first = since[feature];
      return first !== undefined && !isBefore(version, first);
    }),
  );
}

/** `MAJOR.MINOR` at the first place of a text that has one. */
export function readVersion(text: string): readonly [number, number] {
  const [, major, minor] = /(\d+)\.(\d+)/.exec(text) ?? [];
  if (major === undefined || minor === undefined) throw new Error(`no version in: ${text}`);
  return [Number(major), Number(minor)];
}
