import { afterAll, beforeAll, describe } from "vitest";
import { loadSyscalls } from "../../src/core/index.ts";
import { openSnapshotter } from "../../src/snapshot/index.ts";
import { describeSnapshotter } from "../contract/snapshotter-contract.ts";

const nobody = 65_534;

describe("as a user who owns nothing and may do nothing", () => {
  beforeAll(async () => {
    // Lies in a folder that need not be open to everybody.
    await loadSyscalls();
    process.setgroups?.([]);
    process.setegid?.(nobody);
    process.seteuid?.(nobody);
  });

  afterAll(() => {
    process.seteuid?.(0);
    process.setegid?.(0);
  });

  describeSnapshotter("copy", async (folders) => openSnapshotter({ ...folders, kind: "copy" }), {
    mayMount: false,
  });
});
