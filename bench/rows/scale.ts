import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeTree } from "../inputs/tree.ts";
import { smallBase } from "../workspace.ts";
import { buildingAll, copyingFloor } from "./build-row.ts";
import type { Goal } from "../report/goals.ts";
import type { BenchRow } from "./row.ts";

const linear: Goal = { of: "row", row: "scale-10k", atMost: 1.25 };

/** COPY of ever more files of about 1 kB: cost a file must not grow. */
export const scaleRows: readonly BenchRow[] = [
  scaleRow({ name: "scale-1k", count: 1_000, goals: [] }),
  scaleRow({ name: "scale-10k", count: 10_000, goals: [] }),
  scaleRow({ name: "scale-100k", count: 100_000, goals: [linear] }),
  scaleRow({ name: "scale-200k", count: 200_000, goals: [linear] }),
];

function scaleRow(options: {
  readonly name: string;
  readonly count: number;
  readonly goals: readonly Goal[];
}): BenchRow {
  const { name, count, goals } = options;
  return {
    name,
    what: `COPY of ${count.toLocaleString("en")} files of 1 kB`,
    goals,
    units: count,
    peers: false,
    warmUp: false,
    prepare: async (workspace) => {
      const context = await workspace.folder(name);
      await writeFile(join(context, "Dockerfile"), `FROM ${smallBase}\nCOPY data /data\n`);
      const directory = join(context, "data");
      const tree = writeTree({ directory, count, bytes: count * 1e3, seed: 6 });
      const floor = copyingFloor(workspace, directory);
      return buildingAll({ name, context, fresh: true, reset: tree.touch, floor });
    },
  };
}
