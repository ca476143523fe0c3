import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, test } from "vitest";
import { makeBases } from "./bases.ts";
import { readCases } from "./case.ts";
import type { Difference } from "./compare.ts";
import { chooseEngine } from "./engines/choose.ts";
import { openTsbuild } from "./engines/tsbuild.ts";
import { judgeCase, type Judges, whyNoJudge } from "./judge.ts";
import { type MeantRule, rules } from "./meant.ts";
import { isSelected } from "./engines/engine.ts";

// The same Dockerfile built by tsbuild and by a reference: test/differential/README.md.
const choice = chooseEngine(process.env);
const cases = readCases();
const reasons = new Map<string, number>();
let judges: Judges | undefined;
let equal = 0;
let withMeant = 0;

beforeAll(async () => {
  if ("missing" in choice) return;
  const folder = await mkdtemp(join(tmpdir(), "tsbuild-diff-"));
  const places = { engine: join(folder, "engine"), tsbuild: join(folder, "tsbuild") };
  for (const place of Object.values(places)) await mkdir(place);
  const builtAfter = Math.floor(Date.now() / 1000) - 60;
  const engine = await choice.open(places.engine);
  judges = { engine, tsbuild: openTsbuild(places.tsbuild), folder, builtAfter };
  for (const archive of await makeBases(folder)) {
    await engine.load(archive);
    await judges.tsbuild.load(archive);
  }
});

afterAll(async () => {
  if (judges === undefined) return;
  const { engine, tsbuild, folder } = judges;
  console.log(summary(`${engine.name} ${engine.version.join(".")}`));
  await engine.close();
  await tsbuild.close();
  await rm(folder, { recursive: true, force: true });
});

describe.concurrent("the same image as the reference's", () => {
  test.for(cases)("$name", async (judged, { skip }) => {
    if ("missing" in choice) skip(choice.missing);
    if (judges === undefined) throw new Error("the reference did not come up");
    const reason = whyNoJudge(judges.engine, judged);
    if (reason !== undefined) skip(reason);
    const { unexpected, meant, gone } = await judgeCase(judged, judges);
    for (const [why, count] of meant) reasons.set(why, (reasons.get(why) ?? 0) + count);
    const complaints = [
      ...unexpected.map(describeDifference),
      ...gone.map((entry) => `no longer so: ${describeDifference(entry)}`),
    ];
    // Not `expect`: it would shorten what has to be read here.
    if (complaints.length > 0) throw new Error(complaints.join("\n"));
    if (meant.size === 0) equal += 1;
    else withMeant += 1;
  });
});

describe("rules for differences that are meant", () => {
  const isAbout = ({ engine }: MeantRule): boolean =>
    "missing" in choice || engine.split(", ").some((one) => one.startsWith(choice.engine));
  test.for(rules.filter(isAbout))("$reason", ({ engine, reason }, { skip, expect }) => {
    if ("missing" in choice) skip(choice.missing);
    if (judges === undefined) throw new Error("the reference did not come up");
    if (!isSelected(judges.engine, engine)) skip(`a rule for ${engine}`);
    if (equal + withMeant < cases.length / 2) skip("only some cases ran");
    expect(reasons.get(reason) ?? 0).toBeGreaterThan(0);
  });
});

function describeDifference({ at, reference, tsbuild, told = "" }: Difference): string {
  return `${at}: ${reference} | tsbuild: ${tsbuild}\n${told}`.trimEnd();
}

function summary(engine: string): string {
  const counts = `${String(equal)} cases equal, ${String(withMeant)} with differences that are meant`;
  const lines = [...reasons].map(([reason, count]) => `  ${String(count)} × ${reason}`);
  return [`against ${engine}: ${counts}`, ...lines].join("\n");
}
