import { closeSync, mkdirSync, openSync, writeFileSync } from "node:fs";

/** Puts 60 directories into one another, a file in each: no path reaches the lowest ones from `top`. */
export function makeDeepTree(top: string): void {
  const name = "d".repeat(200);
  let directory = openSync(top, "r");
  for (let depth = 0; depth < 60; depth += 1) {
    const here = `/proc/self/fd/${String(directory)}`;
    writeFileSync(`${here}/file`, "12345");
    mkdirSync(`${here}/${name}`);
    const below = openSync(`${here}/${name}`, "r");
    closeSync(directory);
    directory = below;
  }
  closeSync(directory);
}
