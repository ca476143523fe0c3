import { resolve } from "node:path";
import { expect, test } from "vitest";
import { checkDockerfile } from "../fuzz/check-dockerfile.ts";
import { inputOf, readCorpus } from "../fuzz/inputs.ts";

/** `npm run fuzz` looks for more, from other seeds. */
const firstSeed = 20_261_121;
/** Always the same ones: a fast machine looks at no others than a slow one. */
const rounds = 1500;

test(`${String(rounds)} rounds of fuzzing find nothing`, async () => {
  const corpus = readCorpus(resolve(import.meta.dirname, "../../fixtures"));
  const counts = { refused: 0, parsed: 0, planned: 0 };
  for (let seed = firstSeed; seed < firstSeed + rounds; seed++) {
    const input = inputOf(seed, corpus);
    try {
      counts[await checkDockerfile(input)]++;
    } catch (error) {
      throw new Error(`seed ${String(seed)}: ${JSON.stringify(input)}`, { cause: error });
    }
  }
  // Inputs that never get far would look at nothing.
  for (const count of Object.values(counts)) expect(count).toBeGreaterThan(0);
});
