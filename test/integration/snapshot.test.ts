import { openSnapshotter } from "../../src/snapshot/index.ts";
import { describeSnapshotter } from "../contract/snapshotter-contract.ts";

describeSnapshotter("overlayfs", async (folders) =>
  openSnapshotter({ ...folders, kind: "overlayfs" }),
);
describeSnapshotter("copy", async (folders) => openSnapshotter({ ...folders, kind: "copy" }));
