import type { Argv } from "./engine.ts";

/** Two commands as one. */
export function inTurn(first: Argv, second: Argv): Argv {
  const [one, other] = [first, second].map((argv) => argv.map(quote).join(" "));
  return ["sh", "-c", `${one ?? ""} && exec ${other ?? ""}`];
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
