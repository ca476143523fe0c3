import { chmod, lstat, mkdir, mkdtemp, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { spawnSync } from "node:child_process";
import { createWriteStream } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { errnoOf } from "../../src/core/index.ts";
import { writeLayerTar } from "../../src/layer/index.ts";
import { environmentOf, repository, runCli, tsbuildBin } from "../support/cli.ts";
import {
  deviceEntry,
  directoryEntry,
  fifoEntry,
  fileEntry,
  hardlinkEntry,
  symlinkEntry,
} from "../support/layer-entries.ts";

// Images are built inside a container of `tsbuild run`: Docker's default capabilities and seccomp profile, and all state
// on the container's own overlayfs.

const dockerfile = `FROM scratch AS base
ADD root.tar /
COPY --chown=12:34 --chmod=4711 app/tool /tool
WORKDIR /srv/www
FROM base
COPY app /app/
COPY --from=base --chown=5 /home /home2
COPY --from=base / /copy
COPY --link --chown=70000:9 app/tool /linked/tool
WORKDIR /home/u/new
`;

let folder: string;
/** Folders of the host that programs need. */
const volumes: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tsbuild-unprivileged-"));
  await chmod(folder, 0o755);
  await mkdir(join(folder, "build/app"), { recursive: true });
  await writeFile(join(folder, "build/Dockerfile"), dockerfile);
  await writeFile(join(folder, "build/app/tool"), "tool", { mode: 0o755 });
  await symlink("../tool", join(folder, "build/app/link"));
  await writeRoot(join(folder, "build/root.tar"));
  await makeHost(join(folder, "host"));
  await built(["build", "-t", "host", join(folder, "host")]);
});

afterAll(async () => rm(folder, { recursive: true, force: true }));

/** All that needs a privilege to be made. */
async function writeRoot(path: string): Promise<void> {
  const capability = Buffer.from("0100000200200000000000000000000000000000", "hex");
  const xattrs = new Map([["trusted.of-root", Buffer.from([0, 255])]]);
  const entries = [
    directoryEntry("bin"),
    fileEntry("bin/ping", "p", { xattrs: new Map([["security.capability", capability]]) }),
    fileEntry("bin/su", "s", { mode: 0o4755, uid: 70_000 }),
    directoryEntry("dev"),
    deviceEntry("dev/null", { devMajor: 1, devMinor: 3 }),
    deviceEntry("dev/sda", { devMajor: 8, devMinor: 0 }, "block-device"),
    directoryEntry("home/u", { mode: 0o2770, uid: 1000, gid: 70_000, xattrs }),
    fileEntry("home/u/f", "f", { uid: 3_000_000, gid: 3, xattrs }),
    hardlinkEntry("home/u/g", "home/u/f"),
    symlinkEntry("home/u/l", "/nowhere", { uid: 7, gid: 8 }),
    fifoEntry("pipe", { mode: 0o622, uid: 9 }),
    directoryEntry("locked", { mode: 0 }),
    fileEntry("locked/none", "n", { mode: 0 }),
  ];
  await pipeline(writeLayerTar(Readable.from(entries)), createWriteStream(path));
}

/** An image that is nothing by itself; the host's programs are mounted into it. */
async function makeHost(context: string): Promise<void> {
  await mkdir(join(context, "root/tmp"), { recursive: true });
  await chmod(join(context, "root/tmp"), 0o1777);
  await writeFile(join(context, "Dockerfile"), "FROM scratch\nCOPY root /\n");
  volumes.push("/usr", repository);
  if (!process.execPath.startsWith("/usr/")) volumes.push(dirname(dirname(process.execPath)));
  for (const name of ["bin", "lib", "lib64"]) {
    const path = `/${name}`;
    const stat = await lstat(path).catch((error: unknown) => {
      if (errnoOf(error) === "ENOENT") return undefined;
      throw error;
    });
    if (stat?.isSymbolicLink() === true)
      await symlink(await readlink(path), join(context, "root", name));
    else if (stat !== undefined) volumes.push(path);
  }
}

/** Runs tsbuild with privileges, and answers the ID of the image that it tells. */
async function built(args: readonly string[]): Promise<string> {
  const result = await runCli(args, {
    root: join(folder, "root"),
    env: { SOURCE_DATE_EPOCH: "0" },
  });
  expect(result).toMatchObject({ code: 0 });
  return idIn(result.stdout + result.stderr);
}

function idIn(output: string): string {
  return (
    /sha256:[0-9a-f]{64}/.exec(/image sha256:[0-9a-f]{64}.*/.exec(output)?.[0] ?? "")?.[0] ?? output
  );
}

/** Runs a script in the container, in which `tsbuild` is this one. */
async function inContainer(user: string, script: string): Promise<string> {
  const mounts = [...volumes.map((path) => `${path}:${path}:ro`), `${folder}:/given:ro`];
  const tsbuild = `tsbuild() { '${process.execPath}' '${repository}/bin/tsbuild.js' "$@" 2>&1; }`;
  const result = await runCli(
    [
      ...["run", "--rm", "--user", user, "-e", "HOME=/tmp", "-e", "SOURCE_DATE_EPOCH=0"],
      ...["-e", "TSBUILD_ROOT=/tmp/state", "-e", `PATH=${process.env["PATH"] ?? ""}`],
      ...mounts.flatMap((mount) => ["-v", mount]),
      ...["host", "/bin/sh", "-ec", `${tsbuild}; ${script}`],
    ],
    { root: join(folder, "root") },
  );
  expect(result, result.stdout).toMatchObject({ code: 0 });
  return result.stdout;
}

test.each([
  ["root with Docker's default capabilities", "0:0", "00000000a80425fb"],
  ["a user without any capability", "65534:65534", "0000000000000000"],
])("%s builds, saves and loads the same image to the byte", async (_name, user, capabilities) => {
  const expected = await built(["build", "-t", "x", join(folder, "build")]);
  const output = await inContainer(
    user,
    `grep CapEff /proc/self/status
     tsbuild build -t x /given/build
     tsbuild save x -o /tmp/x.tar
     TSBUILD_ROOT=/tmp/other tsbuild load -i /tmp/x.tar
     ls -d /tmp/state/snapshots/*-files`,
  );
  expect(output).toContain(capabilities);
  expect(idIn(output)).toBe(expected);
});

// A root that may give files away, but not work on them afterwards, and others that lack one thing.
const all = "-all";
test.each([
  ["CAP_FOWNER", "-fowner"],
  ["CAP_DAC_OVERRIDE", "-dac_override,-dac_read_search"],
  ["CAP_CHOWN", "-chown"],
  ["CAP_FSETID", "-fsetid"],
  ["CAP_MKNOD", "-mknod"],
  ["CAP_SETFCAP", "-setfcap"],
  ["all but CAP_CHOWN", `${all},+chown`],
  ["all but CAP_SYS_ADMIN", `${all},+sys_admin`],
  ["all", all],
])(
  "root without %s builds the same image, and doctor tells what lacks",
  async (_name, bounding) => {
    const expected = await built(["build", "-t", "x", join(folder, "build")]);
    const root = await mkdtemp(join(folder, "lacking-"));
    const tsbuild = (...args: readonly string[]): string => {
      const command = ["--bounding-set", bounding, process.execPath, tsbuildBin, ...args];
      const env = environmentOf({ root, env: { SOURCE_DATE_EPOCH: "0" } });
      // doctor ends with 1 where no RUN works.
      const { stdout, stderr } = spawnSync("setpriv", command, { env, encoding: "utf8" });
      return stdout + stderr;
    };
    expect(idIn(tsbuild("build", "-t", "x", join(folder, "build")))).toBe(expected);
    const [lost] = bounding.split(",");
    const knob = lost === all ? "FOWNER" : (lost ?? "").slice(1).toUpperCase();
    expect(tsbuild("doctor")).toMatch(new RegExp(`hint: docker run.* --cap-add ${knob}\\b`));
  },
);

test("RUN is refused in a container of `tsbuild run`, with what can be done about it", async () => {
  await writeFile(join(folder, "build/run.Dockerfile"), "FROM scratch\nRUN true\n");
  const output = await inContainer(
    "0:0",
    "! tsbuild build -f /given/build/run.Dockerfile /given/build; ! tsbuild doctor",
  );
  expect(output).toContain("[SANDBOX_UNAVAILABLE]");
  // Told by the build and by `doctor`.
  expect(
    output.match(/no filesystem here allows devices, as in containers of `tsbuild run`/g),
  ).toHaveLength(2);
});
