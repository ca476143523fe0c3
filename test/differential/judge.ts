import { mkdtemp, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import type { DifferentialCase } from "./case.ts";
import { compareImages, type Difference } from "./compare.ts";
import { contextFolder, layOutCase } from "./context.ts";
import { type Builder, type BuildOutcome, type Engine, isSelected } from "./engines/engine.ts";
import { readImage } from "./image.ts";
import { sortDifferences, type SortedDifferences } from "./meant.ts";

export interface Judges {
  readonly engine: Engine;
  readonly tsbuild: Builder;
  /** Folder for the copies of cases and for archives. */
  readonly folder: string;
  /** Seconds since 1970; everything that the builds write is younger. */
  readonly builtAfter: number;
}

/** Why the reference cannot judge a case; undefined when it can. */
export function whyNoJudge(engine: Engine, { options }: DifferentialCase): string | undefined {
  const excuses = Object.entries(options.skip ?? {});
  const excuse = excuses.find(([selector]) => isSelected(engine, selector));
  if (excuse !== undefined) return `${excuse[0]} is no judge: ${excuse[1]}`;
  const lacking = (options.needs ?? []).filter((feature) => !engine.features.has(feature));
  const version = engine.version.join(".");
  return lacking.length === 0 ? undefined : `${engine.name} ${version} lacks ${lacking.join(", ")}`;
}

/** Builds a case by both and tells what is not the same. @throws when one of them refuses what it should build */
export async function judgeCase(
  judged: DifferentialCase,
  { engine, tsbuild, folder, builtAfter }: Judges,
): Promise<SortedDifferences> {
  const work = await mkdtemp(join(folder, `${judged.name}-`));
  try {
    await layOutCase(work, judged);
    const request = {
      folder: work,
      context: basename(contextFolder(work, judged)),
      tag: `diff.test/case-${judged.name}:1`,
      flags: judged.options.flags ?? [],
    };
    const theirs = await engine.build({ ...request, archive: join(work, "reference.tar") });
    const ours = await tsbuild.build({ ...request, archive: join(work, "tsbuild.tar") });
    const differences =
      judged.options.fails === undefined
        ? await compareBuilt({ theirs, ours }, { ...engine.compares, builtAfter })
        : compareRefusals({ theirs, ours }, judged.options.fails);
    return sortDifferences(differences, { engine, listed: judged.options.meant ?? [] });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

interface Outcomes {
  readonly theirs: BuildOutcome;
  readonly ours: BuildOutcome;
}

async function compareBuilt(
  { theirs, ours }: Outcomes,
  options: Parameters<typeof compareImages>[1],
): Promise<Difference[]> {
  if (theirs.kind === "built" && ours.kind === "built") {
    const reference = await readImage(theirs.archive);
    return compareImages({ reference, tsbuild: await readImage(ours.archive) }, options);
  }
  const told = [theirs, ours].map(toldBy).join("\n");
  return [{ at: "outcome", reference: theirs.kind, tsbuild: ours.kind, told }];
}

/** Both must refuse and say `text`, whatever else they say. */
function compareRefusals({ theirs, ours }: Outcomes, text: string): Difference[] {
  const tell = (outcome: BuildOutcome): string => {
    if (outcome.kind === "built") return "built";
    return outcome.output.includes(text) ? text : "another refusal";
  };
  const found = { at: "refusal", reference: tell(theirs), tsbuild: tell(ours) };
  if (found.reference === text && found.tsbuild === text) return [];
  return [{ ...found, told: [theirs, ours].map(toldBy).join("\n") }];
}

function toldBy(outcome: BuildOutcome): string {
  return outcome.kind === "built" ? "" : outcome.output.slice(-3000);
}
