import { execFile } from "node:child_process";
import { copyFile, link, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { expectCli } from "../support/cli.ts";
import { debianRootTar } from "../support/debian.ts";
import { layersOf } from "../support/layer-looks.ts";
import { findMarkedProcesses } from "../support/marked-processes.ts";
import { whatIsLacking } from "../support/setup-workspace.ts";
import {
  type ContainerPrivileges,
  UnprivilegedContainer,
  unpackRoot,
} from "../support/unprivileged-container.ts";

const lacking = whatIsLacking(["runc", "mmdebstrap", "busybox", "unshare", "tar"]);
/** In the command line of what steps leave behind. */
const left = String(600_000 + process.pid);
let folder = "";
let lower = "";

beforeAll(async () => {
  if (lacking !== undefined) return;
  folder = await mkdtemp(join(tmpdir(), "tsbuild-unprivileged-"));
  lower = join(folder, "lower");
  const tar = await debianRootTar();
  await unpackRoot(tar, lower);
  await mkdir(join(folder, "context"));
  await link(tar, join(folder, "context/debian.tar")).catch(async () =>
    promisify(execFile)("cp", [tar, join(folder, "context/debian.tar")]),
  );
  await writeFile(join(folder, "context/Dockerfile"), dockerfile);
  await writeFile(join(folder, "token"), secret);
  await mkdir(join(folder, "tiny"));
  await copyFile("/bin/busybox", join(folder, "tiny/busybox"));
  await writeFile(
    join(folder, "tiny/Dockerfile"),
    'FROM scratch\nCOPY busybox /\nRUN ["/busybox", "true"]\n',
  );
});
beforeEach((step) => {
  if (lacking !== undefined) step.skip(lacking);
});
afterAll(async () => {
  if (folder !== "") await rm(folder, { recursive: true, force: true });
});

const secret = "s3cret of nobody";
const dockerfile = `FROM scratch AS base
ADD debian.tar /
FROM base
RUN useradd -m -u 1234 alice && su alice -c 'id -un > ~/who; umask 077; touch ~/private' \\
 && install -d -o alice -g alice -m 2775 /srv/shared && mkdir -m 1777 /srv/sticky
RUN mkdir /var/cache/kept; touch -d @0 /var/cache/kept /run /etc /
RUN --mount=type=cache,target=/var/cache/kept --mount=type=secret,id=token,mode=0400 \\
    --mount=type=bind,target=/ctx,source=Dockerfile --mount=type=tmpfs,target=/scratch \\
    grep -q nobody /run/secrets/token && grep -q FROM /ctx && touch /scratch/x /var/cache/kept/x /srv/seen
RUN cp /usr/bin/id /srv/id && chmod 6755 /srv/id && mknod /srv/null c 1 3 && mkfifo /srv/pipe \\
 && chown 70000:80000 /srv/pipe && rm /etc/issue && ln /usr/bin/env /usr/bin/env2 && ln -s x /srv/link \\
 && su alice -c '/srv/id -u' | grep -qx 0
RUN apt-get update -qq && apt-get install -qqy --no-install-recommends libcap2-bin \\
 && rm -rf /var/lib/apt/lists /var/cache/apt /var/cache/ldconfig /var/log/apt /var/log/dpkg.log \\
 && cp /bin/true /srv/capped && setcap cap_net_raw+p /srv/capped
RUN (setsid sh -c 'sleep ${left} & sleep ${left}' &) ; su alice -c 'setsid sleep ${left} &'; (echo 127.0.0.9 x >> /etc/hosts) 2>/dev/null || true
`;

/** A container of its own; the folder of this file is a volume in it. */
async function container(privileges: ContainerPrivileges = {}): Promise<UnprivilegedContainer> {
  const dir = await mkdtemp(join(folder, "container-"));
  const volumes = [folder, ...(privileges.volumes ?? [])];
  return UnprivilegedContainer.create({ dir, lower, privileges: { ...privileges, volumes } });
}

test("a build with RUN gives the same layers without privileges as with them", async () => {
  const build = (name: string): string[] => [
    ...["build", "--progress", "plain", "--secret", `id=token,src=${join(folder, "token")}`],
    ...["-o", `type=oci,dest=${join(folder, name)}`, join(folder, "context")],
  ];
  const unprivileged = await (await container()).tsbuild(build("there.tar"));
  expect(unprivileged.code, unprivileged.stderr).toBe(0);
  expect(unprivileged.stderr.match(/SANDBOX_\w+/g)).toEqual(["SANDBOX_WEAKER"]);
  expect(findMarkedProcesses(left)).toEqual([]);
  await expectCli(build("here.tar"), { root: join(folder, "root") });

  const [there, here] = [
    await layersOf(join(folder, "there.tar")),
    await layersOf(join(folder, "here.tar")),
  ];
  expect(there).toEqual(here);
  // The comparison is of something.
  expect(here.slice(1).map((layer) => layer.length > 0)).toEqual([
    true,
    true,
    true,
    true,
    true,
    false,
  ]);
  expect(here.flat()).toContain("srv/id file 6755 0:0");
  expect(here.flat()).toContain("usr/sbin/setcap file 755 0:0");
  expect(here.flat()).toContainEqual(
    expect.stringMatching(/^srv\/capped file 755 0:0 security\.capability=0000000200200000\d*$/),
  );
  expect(here.flat()).toContain("srv/pipe fifo 644 70000:80000");
  expect(here.flat()).toContain("srv/shared directory 2775 1234:1234");
});

describe("tsbuild doctor tells the rung, tried in it", () => {
  const admin = ["CAP_SYS_ADMIN"];
  const cases: readonly {
    readonly what: string;
    readonly privileges: ContainerPrivileges;
    readonly code: number;
    /** `volume`: a folder of the host; else the container's own overlay. */
    readonly state?: "volume";
    /** Verdict on snapshots, where it is told at all. */
    readonly snapshots?: "ok" | "weak";
    readonly steps: {
      readonly verdict: "ok" | "weak" | "broken";
      readonly found: RegExp;
      readonly hint?: RegExp;
    };
  }[] = [
    {
      what: "Docker's defaults",
      privileges: {},
      code: 0,
      snapshots: "weak",
      steps: {
        verdict: "weak",
        found: /^chroot,.* clone says EPERM$/,
        hint: /--cap-add SYS_ADMIN/,
      },
    },
    {
      what: "the capability, behind a filter that knows nothing of it",
      privileges: { addCapabilities: admin },
      code: 0,
      steps: { verdict: "weak", found: /^chroot,/, hint: /seccomp=unconfined/ },
    },
    {
      what: "the capability without a filter",
      privileges: { addCapabilities: admin, seccomp: "unconfined" },
      code: 0,
      steps: { verdict: "ok", found: /^builtin/ },
    },
    {
      what: "the capability without a filter, and the state on a volume",
      privileges: { addCapabilities: admin, seccomp: "unconfined" },
      state: "volume",
      code: 0,
      snapshots: "ok",
      steps: { verdict: "ok", found: /^builtin/ },
    },
    {
      what: "no CAP_MKNOD",
      privileges: { dropCapabilities: ["CAP_MKNOD"] },
      code: 1,
      steps: { verdict: "broken", found: /make a device node/, hint: /CAP_MKNOD/ },
    },
    {
      what: "no CAP_SYS_CHROOT",
      privileges: { dropCapabilities: ["CAP_SYS_CHROOT"] },
      code: 1,
      steps: { verdict: "broken", found: /without CAP_SYS_CHROOT/, hint: /CAP_SYS_CHROOT/ },
    },
    {
      what: "no CAP_KILL and no CAP_FOWNER",
      privileges: { dropCapabilities: ["CAP_KILL", "CAP_FOWNER"] },
      code: 1,
      steps: {
        verdict: "broken",
        found: /without CAP_KILL, CAP_FOWNER/,
        hint: /docker run --cap-add KILL --cap-add FOWNER/,
      },
    },
    {
      what: "the state on a filesystem without devices",
      privileges: { tmpfs: "/var/lib/tsbuild" },
      code: 1,
      steps: {
        verdict: "broken",
        found: /open a device node/,
        hint: /nodev, such as \/\S*: --root/,
      },
    },
  ];
  test.each(cases)("$what", async ({ privileges, code, state, steps, snapshots }) => {
    const place = await container(privileges);
    const env: Record<string, string> = {};
    if (state === "volume") env["TSBUILD_ROOT"] = await mkdtemp(join(folder, "state-"));
    const told = await place.tsbuild(["doctor", "--format", "json"], env);
    expect(told).toMatchObject({ code, stderr: "" });
    const report = JSON.parse(told.stdout) as {
      readonly canBuild: boolean;
      readonly rows: readonly { name: string; verdict: string; found: string; hints: string[] }[];
    };
    expect(report.canBuild).toBe(code === 0);
    const row = report.rows.find(({ name }) => name === "steps");
    expect(row?.verdict).toBe(steps.verdict);
    expect(row?.found).toMatch(steps.found);
    if (steps.hint !== undefined) expect(row?.hints.join("\n")).toMatch(steps.hint);
    const snapshotRow = report.rows.find(({ name }) => name === "snapshots");
    if (snapshots !== undefined) expect(snapshotRow?.verdict).toBe(snapshots);

    // And so it is.
    const built = await place.tsbuild(["build", "--progress", "plain", join(folder, "tiny")], env);
    expect(built).toMatchObject({ code });
    const codes = built.stderr.match(/SANDBOX_\w+/g) ?? [];
    const expected = { ok: [], weak: ["SANDBOX_WEAKER"], broken: ["SANDBOX_UNAVAILABLE"] };
    expect([...new Set(codes)]).toEqual(expected[steps.verdict]);
  });
});
