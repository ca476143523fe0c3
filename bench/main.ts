import { readFile, writeFile } from "node:fs/promises";
import { Holder } from "./measure/hold.ts";
import { measureRow, readyRow, type ReadyRow } from "./measure/measure-row.ts";
import { type BenchOptions, helpText, readOptions } from "./options.ts";
import { drawPicture } from "./report/picture.ts";
import {
  describeMachine,
  mergeResults,
  readResults,
  type Results,
  type RowResult,
  writeResults,
} from "./report/results.ts";
import { alignTable, figuresByRow, markdownTable, replaceTable, tableOf } from "./report/table.ts";
import { rows } from "./rows/index.ts";
import {
  onOutsideEnd,
  privatePlace,
  privatePlaceWanted,
  runInPrivatePlace,
} from "./place/private-place.ts";
import { openWorkspace } from "./workspace.ts";

const names = rows.map(({ name }) => name);
const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    interrupted.abort(new Error(`ended by ${signal}`));
  });
}
const place = privatePlace();
if (place !== undefined) onOutsideEnd(() => interrupted.abort(new Error("given up")));
try {
  const options = readOptions(process.argv.slice(2), names);
  if (options.help) console.log(helpText(names));
  else if (options.report) await tell(await readOrFail(options.json), options);
  else if (place !== undefined || !canHavePlace()) await tell(await measureAll(options), options);
  else process.exitCode = await runInPrivatePlace(interrupted.signal);
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}

function canHavePlace(): boolean {
  const { isPossible, why } = privatePlaceWanted();
  if (!isPossible) console.error(`no disk and no daemon of our own: ${why}; see bench/README.md`);
  return isPossible;
}

async function tell(results: Results, options: BenchOptions): Promise<void> {
  const cells = tableOf(results);
  console.log(`${results.machine}\n${versionsOf(results)}\n`);
  console.log(options.markdown ? markdownTable(cells) : alignTable(cells));
  if (options.into !== undefined) await writeInto(options.into, results);
  if (options.svg !== undefined) await writeFile(options.svg, pictureOf(results));
  if (results.rows.some(({ kind }) => kind === "failed")) process.exitCode = 1;
}

async function measureAll(options: BenchOptions): Promise<Results> {
  const { only, peers, json, runs, hold, docker } = options;
  const chosen = rows.filter(({ name }) => only === undefined || only.includes(name));
  const { signal } = interrupted;
  const workspace = await openWorkspace({
    signal,
    ...(peers && { peers }),
    ...(docker !== undefined && { docker }),
    ...(place !== undefined && { place }),
  });
  const engines = Object.fromEntries(
    workspace.engines.map((engine) => [engine.name, engine.version]),
  );
  const old = json === undefined ? undefined : await readResults(json);
  const measured: RowResult[] = [];
  const merged = (): Results =>
    mergeResults(old, { machine: describeMachine(), engines, rows: measured }, names);
  const keep = async (result: RowResult): Promise<void> => {
    tellTrouble(result);
    measured.push(result);
    // After every row, so that what was measured stays when a later row is given up.
    if (json !== undefined) await writeResults(json, merged());
  };
  const holder = new Holder(hold, signal);
  try {
    // With a hold all are made ready first: the machine is held only while something is measured.
    const isHeld = hold.length > 0;
    const ready: ReadyRow[] = [];
    const measure = async (row: ReadyRow): Promise<void> => {
      console.error(`measuring: ${row.row.name}`);
      await keep(await measureRow(row, { workspace, runs, holder }));
    };
    for (const row of chosen) {
      console.error(`making ready: ${row.name}, ${row.what}`);
      const made = await readyRow(row, workspace);
      if (made.kind !== "ready") await keep(made);
      else if (isHeld) ready.push(made);
      else await measure(made);
      if (!isHeld) await workspace.tidy();
    }
    for (const row of ready) await measure(row);
  } finally {
    try {
      await holder.release();
    } finally {
      await workspace.close();
    }
  }
  return merged();
}

function tellTrouble(result: RowResult): void {
  if (result.kind !== "measured") console.error(`${result.name} ${result.kind}: ${result.why}`);
  else for (const { name, why } of result.refused) console.error(`${result.name}: ${name}: ${why}`);
}

async function writeInto(path: string, results: Results): Promise<void> {
  const { machine } = results;
  const table = `${machine}; ${versionsOf(results)}.\n\n${markdownTable(tableOf(results))}`;
  await writeFile(path, replaceTable(await readFile(path, "utf8"), table));
}

async function readOrFail(path: string | undefined): Promise<Results> {
  const results = path === undefined ? undefined : await readResults(path);
  if (results === undefined) throw new Error(`no results in ${String(path)}`);
  return results;
}

function versionsOf({ engines }: Results): string {
  return Object.entries(engines)
    .map(([name, version]) => `${name} ${version}`)
    .join(", ");
}

function pictureOf(results: Results): string {
  const figures = figuresByRow(results);
  const bars = results.rows.flatMap(({ name, what }) => {
    const found = figures.get(name);
    return found === undefined ? [] : [{ label: what, figures: found }];
  });
  const captions = [`Medians of turns in one run; ${versionsOf(results)}`, results.machine];
  return drawPicture({ title: "Time of tsbuild by that of the fastest peer", captions, bars });
}
