import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { repository } from "../support/cli.ts";
import { debianRootTar } from "../support/debian.ts";
import { whatIsLacking } from "../support/setup-workspace.ts";
import { UnprivilegedContainer, unpackRoot } from "../support/unprivileged-container.ts";

// The suites that snapshots, layers and sandboxes have to pass run once more, by Vitest inside a container with Docker's
// default capabilities and seccomp profile, on the container's own overlayfs: there with copies, the sidecar and chroot.

const lacking = whatIsLacking(["runc", "mmdebstrap", "unshare", "tar", "busybox"]);
let folder = "";

beforeAll(async () => {
  if (lacking !== undefined) return;
  folder = await mkdtemp(join(tmpdir(), "tsbuild-contracts-"));
  await unpackRoot(await debianRootTar(), join(folder, "lower"));
});
afterAll(async () => {
  if (folder !== "") await rm(folder, { recursive: true, force: true });
});

const suites = [
  ...["snapshot", "snapshot-run", "snapshot-property", "sandbox-chroot", "layer-log"],
  ...["copy-archives", "copy-destination", "copy-flags", "copy-link-flag", "copy-links"],
  ...["copy-looks", "copy-through-solve", "copy-workdir", "reserved-names"],
];
/** Those that take long: `TSBUILD_LONG_TESTS=1`. */
const longSuites = ["copy-statements", "changing-sources", "hostile-tars", "hostile-bombs"];

test("the contract suites hold without privileges", async (ctx) => {
  if (lacking !== undefined) return ctx.skip(lacking);
  const isLong = process.env["TSBUILD_LONG_TESTS"] !== undefined;
  const files = [...suites, ...(isLong ? longSuites : [])].map(
    (name) => `test/integration/${name}.test.ts`,
  );
  for (const file of files) expect(existsSync(join(repository, file)), file).toBe(true);
  const caches = join(folder, "caches");
  await mkdir(caches);
  // What Vite keeps there need not be written: it may look for it, though.
  await mkdir(join(repository, "node_modules/.cache"), { recursive: true });
  const container = await UnprivilegedContainer.create({
    dir: await mkdtemp(join(folder, "container-")),
    lower: join(folder, "lower"),
    privileges: { shown: ["/bin/busybox"], caches },
  });
  const vitest = join(repository, "node_modules/vitest/vitest.mjs");
  const flags = ["run", "--configLoader", "runner", "--project", "root", ...files];
  const { code, stdout, stderr } = await container.run(
    ["env", "-C", repository, process.execPath, vitest, ...flags],
    { CI: "true", TSBUILD_TEST_SNAPSHOTS: "copy", TSBUILD_KILL_ROUNDS: "10" },
  );
  const told = (stdout + stderr).split("\n");
  // Reasons of skipped tests are told by the runs that do not skip them.
  const failures = told.filter((line) => line.startsWith("failed: "));
  expect({ code, failures, end: code === 0 ? "" : told.slice(-40).join("\n") }).toEqual({
    code: 0,
    failures: [],
    end: "",
  });
  const counts = /^(\d+) passed, 0 failed, (\d+) skipped$/m.exec(stdout)?.slice(1).map(Number);
  const [passed = 0, skipped = Infinity] = counts ?? [];
  // The suites ran, and not around what they are about.
  expect(passed).toBeGreaterThan(300);
  expect(skipped).toBeLessThan(50);
});
