import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { writeNetworkFiles } from "../../../src/sandbox/network-files.ts";

describe("writeNetworkFiles", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "network-files-"));
  });
  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  it("tells a full disk from a defect", async () => {
    await symlink("/dev/full", join(directory, "hosts"));
    const written = writeNetworkFiles({ directory, hostname: "box", network: "none" });
    await expect(written).rejects.toMatchObject({ code: "DISK_FULL" });
  });
});
