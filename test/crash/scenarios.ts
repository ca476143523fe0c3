import { execFile } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { removeTree } from "../../src/core/index.ts";
import { expectCli } from "../support/cli.ts";
import { startRegistryProcess } from "../support/registry-process.ts";

const exec = promisify(execFile);

/** Everything that the scenarios work on, made once. */
export interface Bench {
  readonly folder: string;
  /** Contexts by name. */
  readonly contexts: string;
  /** An archive of three layers. */
  readonly archive: string;
  /** A store with an image of the archive, `base:1` and a nameless image. */
  readonly prepared: string;
  /** A registry that has `base:1`, and everything as blobs at plain URLs. */
  readonly registry: string;
  /** URL of one of its layers. */
  readonly layerUrl: string;
  /** Ends the registry and removes the folder. */
  remove(): Promise<void>;
}

/** One command and what it must have done. */
export interface Scenario {
  readonly name: string;
  /** Whether it begins with the prepared store, else with none. */
  readonly isPrepared: boolean;
  /** `out` is a folder for files that it writes. */
  readonly args: (place: { readonly bench: Bench; readonly out: string }) => readonly string[];
}

const reproducible = ["--build-arg", "SOURCE_DATE_EPOCH=0"];

function build(context: string, ...flags: readonly string[]): Scenario["args"] {
  return ({ bench }) => [
    ...["-q", ...reproducible, ...flags],
    ...["-t", "app:1", join(bench.contexts, context)],
  ];
}

export const scenarios: readonly Scenario[] = [
  { name: "copy", isPrepared: false, args: build("copy") },
  { name: "copy-as-tar", isPrepared: false, args: build("copied") },
  // The layer below lies there as a tar.
  { name: "files-of-a-tar", isPrepared: true, args: build("on-copied") },
  { name: "run", isPrepared: true, args: build("run") },
  {
    name: "unpack",
    isPrepared: false,
    args: ({ bench, out }) =>
      build(
        "unpack",
        "--build-context",
        `base=oci-layout://${join(bench.folder, "layout")}`,
      )({
        bench,
        out,
      }),
  },
  { name: "load", isPrepared: false, args: ({ bench }) => ["load", "-i", bench.archive] },
  {
    name: "save",
    isPrepared: true,
    args: ({ out }) => ["save", "-o", join(out, "a.tar"), "base:1"],
  },
  {
    name: "export-oci",
    isPrepared: true,
    args: ({ bench, out }) => [
      ...["-q", ...reproducible, "-o", `type=oci,dest=${join(out, "oci.tar")}`],
      join(bench.contexts, "copy"),
    ],
  },
  {
    name: "export-directory",
    isPrepared: true,
    args: ({ bench, out }) => [
      ...["-q", ...reproducible, "-o", join(out, "tree")],
      join(bench.contexts, "copy"),
    ],
  },
  {
    name: "pull",
    isPrepared: false,
    args: ({ bench }) => ["pull", "-q", `${bench.registry}/base:1`],
  },
  {
    name: "push",
    isPrepared: true,
    // To a new repository each time, so that there is something to send.
    args: ({ bench }) => [
      ...["image", "cp", "base:1"],
      `docker://${bench.registry}/pushed-${randomUUID()}:1`,
    ],
  },
  {
    name: "add-url",
    isPrepared: false,
    args: ({ bench, out }) =>
      build("add-url", "--build-arg", `URL=${bench.layerUrl}`)({ bench, out }),
  },
  {
    name: "run-chroot",
    isPrepared: true,
    args: (place) => ["--isolation", "chroot", ...build("run")(place)],
  },
  { name: "tag", isPrepared: true, args: () => ["tag", "base:1", "other:2"] },
  { name: "rmi", isPrepared: true, args: () => ["rmi", "base:1"] },
  { name: "prune", isPrepared: true, args: () => ["system", "prune", "--all"] },
  {
    name: "container",
    isPrepared: true,
    args: () => ["run", "--rm", "base:1", "/bin/busybox", "true"],
  },
];

/** A command that may be run again is one that a first run did half: what it removed is not there any more. */
export const isIdempotent = ({ name }: Scenario): boolean => name !== "rmi";

/** Makes contexts, archive and store in `folder`. */
export async function makeBench(folder: string): Promise<Bench> {
  const contexts = join(folder, "contexts");
  const [archive, prepared] = [join(folder, "base.tar"), join(folder, "prepared")];
  await makeCopyContext(join(contexts, "copy"));
  const plain = { a: "a", b: "b".repeat(3e6), c: "c" };
  await makeContext(join(contexts, "copied", "tree"), "none\n", plain);
  await makeContext(join(contexts, "copied"), "FROM scratch\nCOPY tree /tree\n", {});
  await makeContext(join(contexts, "on-copied"), "FROM copied:1\nCOPY one /tree/one\n", {
    one: "1",
  });
  await makeContext(join(contexts, "base"), baseDockerfile, { data: "x".repeat(100_000) });
  await copyFile("/bin/busybox", join(contexts, "base/busybox"));
  await makeContext(join(contexts, "run"), runDockerfile, { one: "one" });
  await makeContext(join(contexts, "unpack"), "FROM base\nCOPY one /one\n", { one: "one" });
  await makeContext(join(contexts, "nameless"), "FROM scratch\nCOPY one /\n", { one: "1" });
  await makeContext(join(contexts, "add-url"), "FROM scratch\nARG URL\nADD $URL /x\n", {});
  const root = prepared;
  await expectCli([...reproducible, "-t", "base:1", join(contexts, "base")], { root });
  await expectCli([...reproducible, join(contexts, "nameless")], { root });
  await expectCli([...reproducible, "-t", "copied:1", join(contexts, "copied")], { root });
  await expectCli(["save", "-o", archive, "base:1"], { root });
  const layout = `type=oci,tar=false,dest=${join(folder, "layout")},name=base:latest`;
  await expectCli([...reproducible, "-o", layout, join(contexts, "base")], { root });
  const registry = await startRegistryProcess();
  const target = `docker://${registry.host}/base:1`;
  // By a store of its own: the prepared one knows of no registry.
  const other = join(folder, "other");
  await expectCli(["image", "cp", `oci:${join(folder, "layout")}:base:latest`, target], {
    root: other,
  });
  const { stdout } = await expectCli(["image", "inspect", "--raw", target], { root: other });
  const { layers } = JSON.parse(stdout) as { readonly layers: readonly { digest: string }[] };
  return {
    ...{ folder, contexts, archive, prepared },
    registry: registry.host,
    layerUrl: `http://${registry.host}/v2/base/blobs/${layers[0]?.digest ?? ""}`,
    remove: async () => {
      await registry.stop();
      await removeTree(folder);
    },
  };
}

const baseDockerfile = `FROM scratch
COPY busybox /bin/busybox
COPY data /data
RUN ["/bin/busybox", "sh", "-c", "/bin/busybox mkdir /d; echo x >/d/f; /bin/busybox ln /d/f /d/g; /bin/busybox find / -xdev -newermt 1971-01-01 -exec /bin/busybox touch -h -d '2020-01-01 00:00:00' {} ';' 2>/dev/null; /bin/busybox touch -d '2020-01-01 00:00:00' /d/f /d /"]
`;

const runDockerfile = `FROM scratch AS tools
COPY one /one
FROM base:1
RUN ["/bin/busybox", "sh", "-ec", "/bin/busybox rm /d/f; /bin/busybox mkdir /e; echo y >/e/f; /bin/busybox ln -s f /e/l; /bin/busybox head -c 300000 /dev/zero >/e/z; /bin/busybox touch -h -d '2020-01-01 00:00:00' /e/f /e/l /e/z /e /d /"]
COPY --from=tools /one /one
`;

async function makeContext(
  folder: string,
  dockerfile: string,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "Dockerfile"), dockerfile);
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
}

/** A tree with every kind of node that a context may hold. */
async function makeCopyContext(folder: string): Promise<void> {
  const dockerfile = "FROM scratch\nCOPY tree /tree\nWORKDIR /work/here\nCOPY --chmod=600 f /f\n";
  await makeContext(folder, dockerfile, { f: "f" });
  const script = `mkdir -p tree/d/deep tree/empty; cd tree
echo small >d/small; yes | head -c 3000000 >d/large; echo deep >d/deep/f
ln d/small d/hard; ln -s small d/link; ln -s nowhere d/dangling; mkfifo d/fifo
chmod 4755 d/small; chmod 1777 empty; truncate -s 2M d/sparse
setfattr -n user.note -v hello d/large 2>/dev/null || true`;
  await exec("sh", ["-ec", script], { cwd: folder });
}

/** What the store and the files that were written say of themselves: equal for equal outcomes. */
export async function fingerprint(root: string, out: string): Promise<string> {
  const names = await readdir(join(root, "names")).catch((): string[] => []);
  const lines: string[] = [];
  for (const name of names.sort()) {
    const record = JSON.parse(await readFile(join(root, "names", name), "utf8")) as {
      readonly name: string;
      readonly descriptor: { readonly digest: string };
    };
    lines.push(`${record.name} ${record.descriptor.digest}`);
  }
  for (const file of (await readdir(out)).sort()) lines.push(await hashOf(join(out, file)));
  return lines.join("\n");
}

async function hashOf(path: string): Promise<string> {
  const bytes = (await stat(path)).isDirectory() ? await tarOf(path) : await readFile(path);
  return `${basename(path)} ${createHash("sha256").update(bytes).digest("hex")}`;
}

async function tarOf(directory: string): Promise<Buffer> {
  const flags = [
    "--sort=name",
    "--numeric-owner",
    "--mtime=@0",
    "--xattrs",
    "--pax-option=delete=atime,delete=ctime",
    "-C",
    directory,
    "-cf",
    "-",
    ".",
  ];
  const { stdout } = await exec("tar", flags, { encoding: "buffer", maxBuffer: 1 << 28 });
  return stdout;
}

/** A copy of the store (or none) and an empty folder for output. */
export async function freshPlace(
  bench: Bench,
  { isPrepared }: Pick<Scenario, "isPrepared">,
  name: string,
): Promise<{ readonly root: string; readonly out: string }> {
  const root = join(bench.folder, "cases", name, "root");
  const out = join(bench.folder, "cases", name, "out");
  await rm(join(bench.folder, "cases", name), { recursive: true, force: true });
  await mkdir(out, { recursive: true });
  if (isPrepared) await exec("cp", ["-a", bench.prepared, root]);
  return { root, out };
}
