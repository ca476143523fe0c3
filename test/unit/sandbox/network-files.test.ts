import { mkdtemp, readFile, rm, symlink } from "node:fs/promises";
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

  it("names the sandbox and what was asked for, whatever the network", async () => {
    for (const network of ["none", "host"] as const) {
      const extraHosts = [{ name: "db", address: "192.0.2.1" }];
      const mounts = writeNetworkFiles({
        directory: join(directory, network),
        hostname: "box",
        network,
        extraHosts,
        withHostname: true,
      });
      expect(mounts.map(({ target }) => target)).toEqual([
        "/etc/hosts",
        "/etc/resolv.conf",
        "/etc/hostname",
      ]);
      const lines = (await readFile(join(directory, network, "hosts"), "utf8")).split("\n");
      expect(lines[0]).toBe("192.0.2.1\tdb");
      expect(lines.slice(-2)).toEqual(["127.0.0.1\tbox", ""]);
      expect(await readFile(join(directory, network, "hostname"), "utf8")).toBe("box\n");
    }
  });

  it("tells a full disk from a defect", async () => {
    await symlink("/dev/full", join(directory, "hosts"));
    const write = (): unknown => writeNetworkFiles({ directory, hostname: "box", network: "none" });
    expect(write).toThrow(expect.objectContaining({ code: "DISK_FULL" }));
  });
});
