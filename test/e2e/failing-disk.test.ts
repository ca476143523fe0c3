import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { environmentOf, expectCli, tsbuildBin } from "../support/cli.ts";
import { makeContext } from "../support/setup-context.ts";
import { whatIsLacking } from "../support/setup-workspace.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

// A disk that fails in the middle of an open file: the kernel says EIO to a descriptor, and no name.

const lacking = whatIsLacking(["strace"]);

beforeEach((step) => {
  if (lacking !== undefined) step.skip(lacking);
});

const big = "b".repeat(3_000_000);

/** `path`: the file at which the call fails the `time`-th time that a thread makes it. */
const cases: readonly {
  readonly what: string;
  readonly path: (context: string) => string;
  readonly call: string;
  readonly time: number;
  readonly out?: true;
  readonly named: RegExp;
}[] = [
  {
    what: "a small file that is read for the cache",
    path: (context) => join(context, "d/small"),
    ...{ call: "pread64", time: 1, named: /read d\/small: EIO \[SYSCALL_FAILED\]/ },
  },
  {
    what: "a small file that is closed",
    path: (context) => join(context, "d/small"),
    ...{ call: "close", time: 1, named: /close d\/small: EIO \[SYSCALL_FAILED\]/ },
  },
  {
    what: "a large file that is read for the cache",
    path: (context) => join(context, "big"),
    ...{ call: "pread64", time: 1, named: /read big: EIO \[SYSCALL_FAILED\]/ },
  },
  {
    what: "a large file that is copied",
    path: (context) => join(context, "big"),
    ...{ call: "pread64", time: 2, named: /read \/?big: EIO \[SYSCALL_FAILED\]/ },
  },
  {
    what: "a file that becomes an output",
    path: (context) => join(context, ".out.tsbuild-partial/.tsbuild-partial"),
    ...{ call: "fchmod", time: 1, out: true },
    named: /write output to \S*\/out: copyfile \/(?:big|d\/small): EIO \[OUTPUT_FAILED\]/,
  },
];

test.each(cases)("$what is named, and the next build does it", async (row) => {
  const context = await makeContext({
    Dockerfile: "FROM scratch\nCOPY d /d\nCOPY big /big\n",
    "d/small": "small",
    big,
    ".dockerignore": "*out*\n",
  });
  const root = await temporaryFolder();
  const args = ["build", ...(row.out ? ["-o", join(context, "out")] : []), context];
  const rule = `inject=${row.call}:error=EIO:when=${String(row.time)}`;
  const words = ["-f", "-qq", "-o", "/dev/null", "-P", row.path(context), "-e", rule];
  const { status, stderr } = spawnSync(
    "strace",
    [...words, process.execPath, tsbuildBin, ...args],
    {
      env: environmentOf({ root }),
      encoding: "utf8",
    },
  );
  expect(stderr).toMatch(row.named);
  expect(status).toBe(1);
  await expectCli(args, { root });
});
