import { parseArgs } from "node:util";
import { measureRow, type Measured } from "./measure.ts";
import { findPeers, type PeerName } from "./peers.ts";
import { rows } from "./rows.ts";
import { openBenchWorkspace } from "./workspace.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    peers: { type: "string" },
    runs: { type: "string", default: "5" },
  },
});
const only = values.only?.split(",");
const peers = await findPeers(values.peers?.split(",") as PeerName[] | undefined);
const workspace = await openBenchWorkspace(peers);
try {
  const chosen = rows.filter((row) => only === undefined || only.includes(row.name));
  console.log(
    `peers: ${peers.join(", ") || "none"}; ${values.runs} runs each, medians in seconds\n`,
  );
  printRow(["row", "tsbuild", ...peers.flatMap((peer) => [peer, "ratio"]), "floor"]);
  for (const row of chosen) {
    const measured = await measureRow(row, { workspace, peers, runs: Number(values.runs) });
    printMeasured(row.name, measured);
  }
} finally {
  await workspace.close();
}

function printMeasured(name: string, measured: Measured): void {
  const own = measured.tsbuild;
  const cells = peers.flatMap((peer) => {
    const theirs = measured[peer];
    return theirs === undefined ? ["-", "-"] : [theirs.toFixed(3), (own / theirs).toFixed(2)];
  });
  const floor = measured.floor === undefined ? "-" : measured.floor.toFixed(3);
  printRow([name, own.toFixed(3), ...cells, floor]);
}

function printRow(cells: readonly string[]): void {
  console.log(cells.map((cell, index) => cell.padEnd(index === 0 ? 18 : 9)).join(" "));
}
