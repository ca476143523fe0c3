import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { generateDockerfile } from "./generate.ts";
import { mutate } from "./mutate.ts";
import { createRandom } from "./random.ts";

/** The Dockerfiles of the golden cases. */
export function readCorpus(fixtures: string): readonly string[] {
  const root = join(fixtures, "dockerfiles");
  return readdirSync(root)
    .sort()
    .map((name) => readFileSync(join(root, name, "Dockerfile"), "utf8"))
    .filter((text) => text.length < 20_000);
}

/** The input that belongs to a seed: a golden Dockerfile or a generated one, changed most of the time. */
export function inputOf(seed: number, corpus: readonly string[]): string {
  const random = createRandom(seed);
  const text = random.once(2) ? random.pick(corpus) : generateDockerfile(random);
  return random.once(5) ? text : mutate(text, random.pick(corpus), random);
}
