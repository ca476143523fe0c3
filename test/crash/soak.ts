import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { runCli, startCli, type CliResult } from "../support/cli.ts";
import { brokenInvariants } from "./invariants.ts";
import { pseudoRandom } from "../support/random.ts";
import { freshPlace, type Bench } from "./scenarios.ts";

export interface SoakReport {
  readonly builds: number;
  readonly removed: number;
  readonly prunes: number;
  readonly kills: number;
  /** Names that had to be there at the end, and were looked at. */
  readonly names: number;
  readonly defects: readonly string[];
}

/** How many processes build; the last one joins after a third of the time. */
const builders = 3;
/** A command that takes longer counts as hanging, in milliseconds. */
const patience = 120_000;

/**
 * Lets several processes build different and equal images on one store beside one that collects garbage, and kills each
 * now and then. Whatever was reported as built and not removed must be there in the end, whole.
 */
export async function soak(
  bench: Bench,
  options: { readonly minutes: number; readonly seed: number },
): Promise<SoakReport> {
  const started = Date.now();
  const until = started + options.minutes * 60_000;
  const { root } = await freshPlace(bench, { isPrepared: true }, "soak");
  const store = new Soak(bench, root);
  const work = Array.from({ length: builders }, async (_, index) => {
    const random = pseudoRandom(options.seed * 100 + index);
    if (index === builders - 1) await sleep((until - started) / 3);
    while (Date.now() < until) await store.buildOnce(index, random);
  });
  const pruning = (async () => {
    const random = pseudoRandom(options.seed * 100 + 99);
    while (Date.now() < until) await store.pruneOnce(random);
  })();
  await Promise.all([...work, pruning]);
  return store.report();
}

class Soak {
  readonly #bench: Bench;
  readonly #root: string;
  /** ID by name; undefined where a kill leaves it open which image the name stands for, if any. */
  readonly #expected = new Map<string, string | undefined>();
  readonly #defects: string[] = [];
  #turn = 0;
  #builds = 0;
  #removed = 0;
  #prunes = 0;
  #kills = 0;

  constructor(bench: Bench, root: string) {
    this.#bench = bench;
    this.#root = root;
  }

  async buildOnce(builder: number, random: () => number): Promise<void> {
    const turn = this.#turn++;
    const name = `w${String(builder)}:${String(Math.floor(random() * 5))}`;
    if (random() < 0.1 && this.#expected.get(name) !== undefined) return this.#remove(name);
    const what = ["copy", "run", "equal"][Math.floor(random() * 3)] ?? "copy";
    // Equal contexts lie in one place, the others are each builder's own.
    const folder = what === "equal" ? this.#context("copy") : this.#context(what, builder);
    if (what !== "equal") {
      await writeFile(join(folder, what === "copy" ? "f" : "one"), `turn ${String(turn)}`);
    }
    const flags = random() < 0.3 ? ["--no-cache"] : [];
    this.#expected.set(name, undefined);
    const result = await this.#run(
      ["-q", ...flags, "-t", name, folder],
      random() < 0.3 ? random() * 1500 : undefined,
    );
    if (result.code === 137) return;
    if (result.code !== 0) return void this.#defects.push(`build of ${name}: ${result.stderr}`);
    this.#builds += 1;
    this.#expected.set(name, result.stdout.trim());
  }

  /** A context, made when it is first asked for. */
  #context(what: string, builder?: number): string {
    const folder = join(this.#bench.contexts, `soak-${what}-${String(builder ?? "equal")}`);
    if (!existsSync(folder)) execFileSync("cp", ["-a", join(this.#bench.contexts, what), folder]);
    return folder;
  }

  async #remove(name: string): Promise<void> {
    const { code, stderr } = await this.#run(["rmi", name]);
    this.#expected.delete(name);
    this.#removed += 1;
    if (code !== 0) this.#defects.push(`rmi ${name}: ${stderr}`);
  }

  async pruneOnce(random: () => number): Promise<void> {
    const args = random() < 0.5 ? ["system", "prune"] : ["builder", "prune", "--all"];
    const result = await this.#run(args, random() < 0.3 ? random() * 600 : undefined);
    if (result.code === 0) this.#prunes += 1;
    else if (result.code !== 137) this.#defects.push(`${args.join(" ")}: ${result.stderr}`);
    await sleep(random() * 300);
  }

  /** With a moment in milliseconds, kills it then. */
  async #run(args: readonly string[], moment?: number): Promise<CliResult> {
    const running = startCli(args, { root: this.#root });
    const kill = (): void => {
      try {
        process.kill(-(running.process.pid ?? 0), "SIGKILL");
      } catch {
        // It had ended.
      }
    };
    const killing = moment === undefined ? undefined : setTimeout(kill, moment);
    const hanging = setTimeout(() => {
      this.#defects.push(`tsbuild ${args.join(" ")} hangs`);
      kill();
    }, patience);
    const result = await running.done;
    clearTimeout(killing);
    clearTimeout(hanging);
    this.#kills += result.code === 137 ? 1 : 0;
    return result;
  }

  async report(): Promise<SoakReport> {
    const root = this.#root;
    const known = [...this.#expected].filter(([, id]) => id !== undefined);
    for (const [name, id] of known) {
      const { stdout, stderr } = await runCli(["inspect", name], { root });
      if (!stdout.includes(String(id)))
        this.#defects.push(`${name} is not ${String(id)}: ${stderr}`);
      const saved = await runCli(["save", "-o", "/dev/null", name], { root });
      if (saved.code !== 0) this.#defects.push(`${name} cannot be saved: ${saved.stderr}`);
    }
    this.#defects.push(...(await brokenInvariants(root)));
    return {
      builds: this.#builds,
      removed: this.#removed,
      prunes: this.#prunes,
      kills: this.#kills,
      names: known.length,
      defects: this.#defects,
    };
  }
}
