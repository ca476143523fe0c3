import { openSnapshotter } from "../../src/snapshot/index.ts";
import { describeSnapshotter } from "../contract/snapshotter-contract.ts";
import { testedKinds } from "../support/snapshot-kinds.ts";

for (const kind of testedKinds)
  describeSnapshotter(kind, async (folders) => openSnapshotter({ ...folders, kind }));
