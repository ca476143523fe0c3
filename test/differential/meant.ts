import type { Difference } from "./compare.ts";
import type { Engine } from "./engines/engine.ts";
import { isSelected } from "./engines/engine.ts";

/** A difference that is meant, as `options.json` lists it: it must occur exactly so. */
export interface MeantDifference extends Difference {
  /** Such as `docker`, `docker<23`, `docker>=23, buildkit`. */
  readonly engine: string;
  readonly reason: string;
}

/** A difference that any case may show, told by what it looks like. */
export interface MeantRule {
  readonly engine: string;
  readonly reason: string;
  readonly covers: (difference: Difference) => boolean;
}

/** What {@link sortDifferences} makes of the differences of a case. */
export interface SortedDifferences {
  /** Nobody meant these. */
  readonly unexpected: readonly Difference[];
  /** Reason → how many differences it explains. */
  readonly meant: ReadonlyMap<string, number>;
  /** Listed in the case, but they do not occur (any more). */
  readonly gone: readonly MeantDifference[];
}

/** Differences between the ways of building that no case is about. Each must occur somewhere in a whole run. */
export const rules: readonly MeantRule[] = [
  {
    engine: "docker, buildkit",
    reason:
      "a folder gets the time of the build there; ours has 0, its source's, or the one it had",
    covers: ({ at, reference }) => at.endsWith(" folder mtime") && reference === "now",
  },
  {
    engine: "docker>=23, buildkit",
    reason: "a folder that COPY creates for another gets the other's time there, and 0 from us",
    covers: ({ at, reference, tsbuild }) =>
      at.endsWith(" folder mtime") && reference !== "now" && tsbuild === "0",
  },
  {
    engine: "docker>=23, buildkit",
    reason: "the file of a heredoc gets the time of the build there, and 0 from us",
    covers: ({ at, reference, tsbuild }) =>
      at.endsWith(" mtime") && reference === "now" && tsbuild === "0",
  },
  {
    engine: "docker, buildkit",
    reason: "the root folder's own time is in our layers only",
    covers: ({ at }) => at === "tree / folder mtime",
  },
  {
    engine: "docker, buildkit",
    reason: "of extended attributes only file capabilities are in the reference's layers",
    covers: ({ at, reference, tsbuild }) =>
      at.endsWith(" xattrs") && reference === "absent" && !tsbuild.includes("security.capability"),
  },
  {
    engine: "docker<23",
    reason: "frontends before 1.5 leave --chown and --chmod out of the history",
    covers: ({ at, reference, tsbuild }) =>
      at.endsWith(" created_by") && tsbuild.replace(/ --ch(?:own|mod)=\S+/g, "") === reference,
  },
  {
    engine: "docker<23",
    reason: "frontends before 1.5 tell the default of an ARG in the history, not its value",
    covers: ({ at, reference, tsbuild }) =>
      at.endsWith(" created_by") && reference.startsWith("ARG ") && tsbuild.startsWith("ARG "),
  },
  {
    engine: "docker<23",
    reason: "frontends before 1.5 write the ports of EXPOSE into the history as a Go value",
    covers: ({ at, reference }) =>
      at.endsWith(" created_by") && reference.startsWith("EXPOSE map["),
  },
  {
    engine: "docker<29",
    reason: "older frontends write a HEALTHCHECK into the history as a Go value",
    covers: ({ at, reference }) =>
      at.endsWith(" created_by") && reference.startsWith("HEALTHCHECK &{"),
  },
  {
    engine: "buildah",
    reason: "buildah is no judge of folders' times: its own mounts and its copies change them",
    covers: ({ at }) => at.endsWith(" folder mtime"),
  },
  {
    engine: "buildah",
    reason: "buildah leaves out a working folder that is the root",
    covers: ({ at, reference, tsbuild }) =>
      at === "config.WorkingDir" && reference === "absent" && tsbuild === '"/"',
  },
];

/** Tells the differences that are meant from those that are not. */
export function sortDifferences(
  differences: readonly Difference[],
  { engine, listed }: { readonly engine: Engine; readonly listed: readonly MeantDifference[] },
): SortedDifferences {
  const mine = listed.filter((entry) => isSelected(engine, entry.engine));
  const meant = new Map<string, number>();
  const found = new Set<MeantDifference>();
  const unexpected = differences.filter((difference) => {
    const entry = mine.find((candidate) => isSame(candidate, difference));
    const rule = rules
      .filter((candidate) => isSelected(engine, candidate.engine))
      .find((candidate) => candidate.covers(difference));
    if (entry !== undefined) found.add(entry);
    const reason = entry?.reason ?? rule?.reason;
    if (reason !== undefined) meant.set(reason, (meant.get(reason) ?? 0) + 1);
    return reason === undefined;
  });
  return { unexpected, meant, gone: mine.filter((entry) => !found.has(entry)) };
}

function isSame(one: Difference, other: Difference): boolean {
  return one.at === other.at && one.reference === other.reference && one.tsbuild === other.tsbuild;
}
