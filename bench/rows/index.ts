import { cacheRows } from "./cache.ts";
import { copyRows } from "./copy.ts";
import { distributionRows } from "./distribution.ts";
import { layerRows } from "./layers.ts";
import type { BenchRow } from "./row.ts";
import { scaleRows } from "./scale.ts";
import { startRows } from "./start.ts";
import { stepRows } from "./steps.ts";

/** In the order of the table. */
export const rows: readonly BenchRow[] = [
  ...startRows,
  ...stepRows,
  ...copyRows,
  ...layerRows,
  ...distributionRows,
  ...cacheRows,
  ...scaleRows,
];
