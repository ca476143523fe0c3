import { chmodSync, linkSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, test } from "vitest";
import {
  hostileTars,
  type HostileTar,
  type Outcome,
  type Place,
} from "../../fixtures/hostile/index.ts";
import { isTsbuildError } from "../../src/core/index.ts";
import { makeCanary, type Canary } from "../support/canary.ts";
import { openCopyHarness, type CopyHarness, type Nodes } from "../support/copy-harness.ts";
import { doors } from "../support/hostile-doors.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

interface Scene {
  readonly harness: CopyHarness;
  readonly canary: Canary;
  readonly place: Place;
}

/** The canary anywhere on the machine: reached by its absolute path, or by more `..` than there are folders. */
async function farAway(): Promise<Scene> {
  const harness = await openCopyHarness();
  const canary = makeCanary(join(await temporaryFolder(), "outside"));
  const climbing = "../".repeat(20) + canary.directory.slice(1);
  return { harness, canary, place: { canary: canary.directory, climbing } };
}

/** The canary beside the state root: reached by exactly as many `..` as lead out of it. */
async function beside(): Promise<Scene> {
  const harness = await openCopyHarness();
  const { snapshots, store } = harness.environment;
  const canary = makeCanary(join(dirname(store.root), "outside"));
  const active = await snapshots.prepare(undefined);
  const climbing = relative(active.directory, canary.directory);
  await snapshots.abandon(active);
  return { harness, canary, place: { canary: canary.directory, climbing } };
}

describe.each([
  ["far away", farAway],
  ["beside the state root", beside],
])("with something to protect %s", (_name, openScene) => {
  test.each(rows())("$attack.name, as $door", async ({ attack, door, outcome }) => {
    const { harness, canary, place } = await openScene();
    const tars = { tar: attack.tar(place), lower: attack.lower?.(place) };
    const result = await doors[door](harness, tars).catch((error: unknown) => error);
    canary.expectUntouched();
    if (outcome.type === "refused") expectRefused(result, { door, outcome });
    else expectTaken(result as Nodes, { outcome, place });
  });
});

interface Row {
  readonly attack: HostileTar;
  readonly door: keyof typeof doors;
  readonly outcome: Outcome;
}

/** A context has nothing below it, so that attacks on a lower state come to it only where they say what it makes of them. */
function rows(): Row[] {
  return hostileTars.flatMap((attack) => {
    const { layer, add = layer } = attack;
    const { context = attack.lower === undefined ? asContext(add) : undefined } = attack;
    const found: Row[] = [
      { attack, door: "layer", outcome: layer },
      { attack, door: "threaded", outcome: layer },
      { attack, door: "add", outcome: add },
    ];
    if (context !== undefined) found.push({ attack, door: "context", outcome: context });
    return found;
  });
}

/** What is wrong with an archive is told of a context in one code, in the words of the reader. */
function asContext(outcome: Outcome): Outcome {
  if (outcome.type === "taken") return outcome;
  // It was taken as a context, and fails when it is copied.
  if (outcome.code === "SNAPSHOT_XATTR_REFUSED") return { type: "refused", code: outcome.code };
  if (!outcome.code.startsWith("LAYER_")) return outcome;
  return { ...outcome, code: "CONTEXT_ARCHIVE_INVALID" };
}

function expectRefused(
  result: unknown,
  {
    door,
    outcome,
  }: { readonly door: Row["door"]; readonly outcome: Outcome & { type: "refused" } },
): void {
  if (!isTsbuildError(result)) throw new Error("it was taken", { cause: result });
  expect(result.code).toBe(outcome.code);
  const { entry } = outcome;
  if (entry === undefined) return;
  expect(result.details).toMatchObject({ entry });
  expect(result.message).toContain(entry);
  if (door === "layer") expect(result.message).toMatch(/layer [0-9a-f]{12}/);
}

function expectTaken(
  nodes: Nodes,
  { outcome, place }: { readonly outcome: Outcome & { type: "taken" }; readonly place: Place },
): void {
  if (nodes instanceof Error) throw nodes;
  const found = (path: string): string | undefined =>
    nodes[path.replace("{canary}", place.canary.slice(1))];
  for (const [path, line] of Object.entries(outcome.has))
    expect(found(path)?.slice(0, line.length), path).toBe(line);
  for (const path of outcome.lacks ?? []) expect(found(path), path).toBeUndefined();
}

describe("the canary", () => {
  test.each([
    ["read", (path: string) => readFileSync(path)],
    ["written", (path: string) => writeFileSync(path, "x")],
    ["chmodded", (path: string) => chmodSync(path, 0o644)],
    ["linked", (path: string) => linkSync(path, `${path}-link`)],
    ["neighboured", (path: string) => writeFileSync(`${path}-new`, "x")],
  ] as const)("notices that it is %s", async (_name, touch) => {
    const canary = makeCanary(join(await temporaryFolder(), "outside"));
    canary.expectUntouched();
    touch(join(canary.directory, "secret"));
    expect(() => canary.expectUntouched()).toThrow();
  });
});
