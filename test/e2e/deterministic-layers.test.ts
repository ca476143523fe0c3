import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { build } from "../../src/api/index.ts";
import { makeFolder } from "../support/setup-context.ts";
import { type Inspected, useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace();
const { context, expectCli, freshRoot } = workspace;

/** Every way in which COPY, ADD and WORKDIR make a layer; RUN is not among them. */
const dockerfile = `FROM BUSYBOX AS files
COPY tree /from/stage
FROM BUSYBOX
COPY . /all/
COPY --chown=1000:50 --chmod=u=rwX,go=rX tree /deep/ly/made/
COPY --parents tree/b/./c /parents/
COPY --link tree/a /linked/a
COPY --from=files /from/stage /copied
ADD archive.tar /unpacked/
COPY <<EOF /here.txt
document
EOF
WORKDIR /work/deep/ly
`;

/** The context's files in a directory of their own, made in the given order. */
function copyInOrder(folder: string, target: string, order: "sort" | "sort -r"): void {
  const script = `cd '${folder}' && find . -mindepth 1 | ${order} | tar -cf - --no-recursion -T - | tar -C '${target}' -xpf -`;
  // Directories get their times last, whatever came into them after.
  const times = `cd '${folder}' && find . -type d -exec touch -r {} '${target}'/{} ';'`;
  execFileSync("sh", ["-ec", `${script}\n${times}`]);
}

test("layers of COPY, ADD and WORKDIR are the same on two machines", async () => {
  const made = await context({
    Dockerfile: dockerfile,
    ".dockerignore": "Dockerfile\n.dockerignore\n",
    ...Object.fromEntries(
      ["a", "z", "b/c", "b/c-1", "b/c/d", "n/é"].map((name) => [`tree/${name}/file`, `${name}\n`]),
    ),
  });
  execFileSync("tar", ["-C", made, "-cf", join(made, "archive.tar"), "tree"]);
  // Another filesystem, which lists its directories in another order.
  const elsewhere = existsSync("/dev/shm")
    ? await mkdtemp("/dev/shm/tsbuild-")
    : await makeFolder();
  const machines = [
    { folder: await makeFolder(), order: "sort", umask: 0o022, env: { TZ: "UTC" } },
    {
      folder: elsewhere,
      order: "sort -r",
      umask: 0o077,
      env: { TZ: "Asia/Kathmandu", LC_ALL: "C" },
    },
  ] as const;
  const images: Inspected[] = [];
  try {
    for (const { folder, order, umask, env } of machines) {
      copyInOrder(made, folder, order);
      const root = await freshRoot();
      const before = process.umask(umask);
      try {
        await expectCli(["-t", "same:1", folder], { root, env });
      } finally {
        process.umask(before);
      }
      const { stdout } = await expectCli(["inspect", "same:1"], { root });
      images.push(...(JSON.parse(stdout) as Inspected[]));
    }
  } finally {
    await rm(elsewhere, { recursive: true, force: true });
  }
  const [one, other] = images;
  expect(one?.RootFS.Layers).toHaveLength(9);
  expect(other?.RootFS).toEqual(one?.RootFS);
});

test("their layers are the same at another time, and with SOURCE_DATE_EPOCH the whole image is", async () => {
  const folder = await context({
    Dockerfile: "FROM BUSYBOX\nCOPY tree /deep/ly/made/\nWORKDIR /work/deep\nCMD true\n",
    "tree/file": "x\n",
  });
  const buildAt = async (time: string, buildArgs: readonly string[] = []): Promise<Inspected> => {
    const root = await freshRoot();
    const clock = { now: () => new Date(time) };
    await build({ context: folder, root, clock, tags: ["timed:1"], buildArgs });
    const { stdout } = await expectCli(["inspect", "timed:1"], { root });
    const [image] = JSON.parse(stdout) as Inspected[];
    if (image === undefined) throw new Error("there is an image");
    return image;
  };
  const [now, later] = [
    await buildAt("2001-02-03T04:05:06.000Z"),
    await buildAt("2031-02-03T04:05:06.000Z"),
  ];
  expect([now.Created, later.Created]).toEqual([
    "2001-02-03T04:05:06.000Z",
    "2031-02-03T04:05:06.000Z",
  ]);
  expect(later.RootFS).toEqual(now.RootFS);
  const epoch = ["SOURCE_DATE_EPOCH=1700000000"];
  const [fixed, again] = [
    await buildAt("2001-02-03T04:05:06.000Z", epoch),
    await buildAt("2031-02-03T04:05:06.000Z", epoch),
  ];
  expect(again.Id).toBe(fixed.Id);
});

test("a filesystem where every directory hands on its group changes nothing", async (ctx) => {
  const folder = await makeFolder();
  const [disk, root] = [join(folder, "disk"), join(folder, "root")];
  execFileSync("truncate", ["-s", "64M", disk]);
  mkdirSync(root);
  try {
    execFileSync("mkfs.ext4", ["-q", disk], { stdio: "ignore" });
    execFileSync("mount", ["-o", "loop,grpid", disk, root], { stdio: "ignore" });
  } catch {
    return ctx.skip("no ext4 can be made and mounted here");
  }
  try {
    const made = await context({
      Dockerfile:
        "FROM scratch\nCOPY --chown=5:7 src /own\nCOPY src /own/root\nCOPY src/file /own/alone\n",
      "src/deep/file": "1",
      "src/file": "2",
    });
    const at = ["--root", join(root, "state")];
    await expectCli([...at, "-t", "groups:1", made]);
    expect((await expectCli([...at, "system", "verify"])).stdout).toMatch(/nothing is damaged/i);
    const archive = join(folder, "image.tar");
    await expectCli([...at, "save", "-o", archive, "groups:1"]);
    expect(existsSync(archive)).toBe(true);
  } finally {
    execFileSync("umount", ["-l", root]);
  }
});
