import { join } from "node:path";
import { runCli } from "../support/cli.ts";
import { planFaults, runTraced, type Fault } from "./inject.ts";
import { badTelling, brokenInvariants, strayOutputs } from "./invariants.ts";
import { pseudoRandom } from "../support/random.ts";
import { fingerprint, freshPlace, isIdempotent, type Bench, type Scenario } from "./scenarios.ts";

/** What came of one fault. */
export interface FaultOutcome {
  readonly fault: Fault;
  /** The call that was hit; undefined when none was. */
  readonly hit: string | undefined;
  readonly outcome: "failed" | "succeeded" | "killed";
  readonly defects: readonly string[];
  readonly stderr: string;
}

/** The faults of a scenario: every place at which each of its calls can fail. */
export async function faultsOf(bench: Bench, scenario: Scenario): Promise<readonly Fault[]> {
  const place = await freshPlace(bench, scenario, `count-${scenario.name}`);
  const log = join(bench.folder, `count-${scenario.name}.log`);
  const run = await runTraced(scenario.args({ bench, out: place.out }), { root: place.root, log });
  if (run.code !== 0) throw new Error(`${scenario.name} fails under strace: ${run.stderr}`);
  return planFaults(run.log, (line) => placeOf(bench, line));
}

/** The part of the store that a call is about, or which of the other files. */
function placeOf(bench: Bench, line: string): string | undefined {
  if (!line.includes(bench.folder)) return undefined;
  const [, root, out] = /\/cases\/[^/]+\/(?:root\/?([\w-]*)|(out))/.exec(line) ?? [];
  return root ?? out ?? "source";
}

/** What a fault is one of: the call, where it fails, and whether the process lives on. */
export function classOf({ call, place, answer }: Fault): string {
  return `${call} ${place} ${answer === "SIGKILL" ? "kills" : "fails"}`;
}

/** At most `count` of them: one of every class first, then whatever the seed says; without `count`, one of each. */
export function sampleFaults(
  faults: readonly Fault[],
  { count, seed }: { readonly count?: number | undefined; readonly seed: number },
): readonly Fault[] {
  const random = pseudoRandom(seed);
  const shuffled = faults
    .map((fault) => ({ fault, rank: random() }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ fault }) => fault);
  const strata = new Set<string>();
  const first: Fault[] = [];
  const rest: Fault[] = [];
  for (const fault of shuffled) {
    const stratum = classOf(fault);
    (strata.has(stratum) ? rest : first).push(fault);
    strata.add(stratum);
  }
  return [...first, ...rest].slice(0, count ?? first.length);
}

/** Runs the command with the fault, looks at the store, and runs it again without. */
export async function tryFault(
  bench: Bench,
  request: { readonly scenario: Scenario; readonly fault: Fault; readonly expected: string },
): Promise<FaultOutcome> {
  const { scenario, fault, expected } = request;
  const { root, out } = await freshPlace(bench, scenario, scenario.name);
  const args = scenario.args({ bench, out });
  const log = join(bench.folder, "case.log");
  const run = await runTraced(args, { root, log, fault });
  const outcome = run.code === 137 ? "killed" : run.code === 0 ? "succeeded" : "failed";
  // A fault in what Node does for itself, such as waking a thread, may well be the end of Node.
  const isOurs = run.injected.every((line) => line.includes(bench.folder));
  const hit = isOurs ? run.injected[0] : undefined;
  const defects: string[] = [];
  if (run.isHanging) defects.push("hangs");
  if (outcome === "failed" && hit !== undefined) defects.push(...badTelling(run.stderr));
  if (outcome === "succeeded" && (await fingerprint(root, out)) !== expected) {
    defects.push("says success of what is not complete");
  }
  defects.push(...(await brokenInvariants(root)));
  if (outcome === "succeeded" && !isIdempotent(scenario)) {
    return { fault, hit, outcome, defects, stderr: run.stderr };
  }
  const again = await runCli(args, { root });
  const isDone = again.code === 0 || (!isIdempotent(scenario) && outcome !== "succeeded");
  if (!isDone) defects.push(`the next run fails: ${again.stderr}`);
  else if ((await fingerprint(root, out)) !== expected) defects.push("the next run differs");
  for (const stray of await strayOutputs(out)) defects.push(`${stray} is left`);
  for (const broken of await brokenInvariants(root)) defects.push(`after the next run: ${broken}`);
  return { fault, hit, outcome, defects, stderr: run.stderr };
}

/** What the command leaves when nothing goes wrong. */
export async function expectedOf(bench: Bench, scenario: Scenario): Promise<string> {
  const { root, out } = await freshPlace(bench, scenario, `expected-${scenario.name}`);
  const { code, stderr } = await runCli(scenario.args({ bench, out }), { root });
  if (code !== 0) throw new Error(`${scenario.name} fails: ${stderr}`);
  return fingerprint(root, out);
}
