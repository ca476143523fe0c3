import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { tsbuildBin } from "../support/cli.ts";
import { makeContext } from "../support/setup-context.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const big = "b".repeat(500_000);

test.each([
  {
    what: "a COPY of one file",
    dockerfile: "FROM scratch\nCOPY big /x/\n",
    named: /write \/x\/big:/,
  },
  {
    what: "a COPY of a directory",
    dockerfile: "FROM scratch\nCOPY . /x/\n",
    named: /write \/x\/(?:big|t\.tar):/,
  },
  {
    what: "an ADD",
    dockerfile: "FROM scratch\nADD t.tar /x/\n",
    named: /unpack big: write \/x\/big:/,
  },
])("a file beyond `ulimit -f` is named by $what, and the next build does it", async (row) => {
  const folder = await makeContext({ Dockerfile: row.dockerfile, big });
  const tar = spawnSync("tar", ["-cf", "t.tar", "big"], { cwd: folder });
  expect(tar.status).toBe(0);
  const root = await temporaryFolder();
  // In blocks of 512 bytes.
  const build = (limit: string) =>
    spawnSync(
      "sh",
      ["-c", `ulimit -f ${limit}; exec "$0" "$@"`, process.execPath, tsbuildBin, "build", folder],
      { env: { ...process.env, TSBUILD_ROOT: root }, encoding: "utf8" },
    );
  const { status, stderr } = build("200");
  expect(status).toBe(1);
  // The tar of a directory's layer is written in pieces: any of the files in one.
  expect(stderr).toMatch(
    new RegExp(`^tsbuild: ${row.named.source} EFBIG \\[SYSCALL_FAILED\\]$`, "m"),
  );
  expect(stderr).toMatch(/^hint: .*ulimit -f/m);
  expect(build("unlimited").status).toBe(0);
});
