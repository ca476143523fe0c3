import { execFileSync, spawnSync } from "node:child_process";
import { lstatSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { raw } from "../../fixtures/hostile/index.ts";
import { whyNoBusybox } from "../support/busybox-root.ts";
import { makeCanary } from "../support/canary.ts";
import { runCli } from "../support/cli.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const { file, header, symlink, tar } = raw;

/** `{canary}` stands for the absolute path of a directory of the host that nobody may touch. */
interface Row {
  readonly name: string;
  /** What the base image has beside busybox: links by their name, and what else it needs. */
  readonly links?: Readonly<Record<string, string>>;
  readonly nodes?: readonly Buffer[];
  readonly lines: readonly string[];
  /** Nodes of the result: `file 0:0 content`, `directory 0:0`, `link target`. */
  readonly has?: Readonly<Record<string, string>>;
  /** How it fails; what the message names. */
  readonly code?: string;
  readonly names?: string;
  /** The sandbox that cannot do it; the other one can. */
  readonly onlyIn?: string;
}

const climbing = "../".repeat(20).slice(0, -1);

/** Ways from a name of the image to the canary; each leads to the same path inside of the image. */
const ways: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  absolute: { out: "{canary}" },
  relative: { out: `${climbing}{canary}` },
  chained: { out: "a/b", "a/b": "/c/d", "c/d": "../e", e: "{canary}" },
  "by /proc/self/root": { out: "/proc/self/root{canary}" },
};

/** What a circle of links comes to. */
const refused = (names: string) => ({ code: "LAYER_SYMLINK_LOOP", names });

const circle = { out: "pool", pool: "/out" };
const inside = (path: string): string => `{canary}/${path}`;

function onEveryWay(
  name: string,
  row: (place: (path: string) => string) => Omit<Row, "name" | "links">,
): Row[] {
  return Object.entries(ways).map(([way, links]) => {
    const place = way.startsWith("by")
      ? (path: string) => `/proc/self/root{canary}/${path}`
      : inside;
    return { name: `${name}, ${way}`, links, ...row(place) };
  });
}

/** Where the standard mounts lie, and the ways there. */
const surroundings = ["etc/hosts", "etc/resolv.conf", "etc/hostname", "etc", "proc", "sys", "dev"];

/** As with runc, what is mounted for every step needs directories of these names. A chroot has no mounts. */
const mounted = new Map(
  ["proc", "sys", "dev"].map((path) => [
    path,
    { code: "SANDBOX_MOUNT_FAILED", names: `/${path}`, onlyIn: "builtin" },
  ]),
);
const circular = new Map([
  ["etc", refused("etc/passwd")],
  ["etc/hosts", refused("etc/hosts")],
  ["etc/resolv.conf", refused("etc/resolv.conf")],
]);

const rows: readonly Row[] = [
  ...onEveryWay("COPY to a name below a link", (place) => ({
    lines: ["COPY f /out/secret"],
    has: { [place("secret")]: "file 0:0 mine" },
  })),
  ...onEveryWay("COPY to a link", (place) => ({
    lines: ["COPY f /out/"],
    has: { [place("f")]: "file 0:0 mine" },
  })),
  ...onEveryWay("ADD an archive to a link", (place) => ({
    lines: ["ADD --chown=7:8 a.tar /out/"],
    has: { [place("secret")]: "file 7:8 packed" },
  })),
  ...onEveryWay("WORKDIR below a link", (place) => ({
    lines: ["WORKDIR /out/inner", "COPY f secret"],
    has: { [place("inner")]: "directory 0:0", [place("inner/secret")]: "file 0:0 mine" },
  })),
  {
    name: "COPY to a link to a file",
    links: { out: "{canary}/secret" },
    lines: ["COPY --chmod=600 f /out"],
    has: { [inside("secret")]: "file 0:0 mine" },
  },
  { name: "COPY to a circle", links: circle, lines: ["COPY f /out/f"], ...refused("/out/f") },
  { name: "ADD to a circle", links: circle, lines: ["ADD a.tar /out/"], ...refused("/out") },
  { name: "WORKDIR in a circle", links: circle, lines: ["WORKDIR /out/w"], ...refused("out/w") },
  {
    name: "COPY --from a circle",
    links: circle,
    lines: ["COPY --from=base /out/f /f"],
    ...refused("out/f"),
  },
  {
    name: "COPY --from through a link",
    links: ways["chained"] ?? {},
    lines: ["COPY --from=base /out/secret /taken"],
    code: "CONTEXT_SOURCE_NOT_FOUND",
    names: "/out/secret",
  },
  {
    name: "COPY --from a link to a directory",
    links: { out: "{canary}" },
    lines: ["COPY --from=base /out /taken"],
    code: "CONTEXT_SOURCE_NOT_FOUND",
    names: "/out",
  },
  {
    name: "COPY --from all, links among it",
    links: { "d/out": "{canary}/secret" },
    lines: ["COPY --from=base /d /taken"],
    has: { taken: "directory 0:0", "taken/out": "link {canary}/secret" },
  },
  ...["absolute", "relative"].map((way) => ({
    name: `--chown with accounts behind a link out, ${way}`,
    links: { "etc/passwd": `${way === "relative" ? climbing : ""}{canary}/secret` },
    lines: ["COPY --chown=canary f /f"],
    has: { f: "file 0:0 mine" },
  })),
  {
    name: "--chown with accounts behind a link inside",
    links: { "etc/passwd": "../other/names", "etc/group": "/other/groups" },
    nodes: [file("other/names", "bob:x:12:13::/:/\n"), file("other/groups", "mine:x:14:\n")],
    lines: ["COPY --chown=bob:mine f /f"],
    has: { f: "file 12:14 mine" },
  },
  {
    name: "USER with accounts behind a link out",
    links: { "etc/passwd": "{canary}/secret" },
    lines: ["USER canary", 'RUN ["/bin/busybox", "true"]'],
    code: "SANDBOX_USER_UNKNOWN",
    names: "canary",
  },
  {
    name: "USER with groups behind a link out",
    links: { "etc/group": "{canary}/secret" },
    lines: ["USER 5:canary", 'RUN ["/bin/busybox", "true"]'],
    code: "SANDBOX_USER_UNKNOWN",
    names: "canary",
  },
  ...["COPY --chown=bob f /f", 'USER bob\nRUN ["/bin/busybox", "true"]'].flatMap((lines) => [
    {
      name: `accounts in a circle: ${lines}`,
      links: { "etc/passwd": "shadow", "etc/shadow": "passwd" },
      lines: [lines],
      ...refused("etc/passwd"),
    },
    {
      name: `accounts in a named pipe: ${lines}`,
      nodes: [header({ name: "etc/passwd", type: "6" })],
      lines: [lines],
      code: "SANDBOX_ACCOUNTS_UNREADABLE",
      names: "etc/passwd",
    },
    {
      name: `accounts without end: ${lines}`,
      nodes: [file("etc/passwd", "x".repeat(5_000_000))],
      lines: [lines],
      code: "SANDBOX_ACCOUNTS_UNREADABLE",
      names: "etc/passwd",
    },
  ]),
  ...[
    "type=tmpfs",
    "type=cache",
    "type=bind,from=base,source=/bin",
    "type=secret,id=s,mode=0666",
    "type=ssh",
  ].flatMap((mount) =>
    onEveryWay(`RUN --mount=${mount} below a link`, (place) => ({
      lines: [`RUN --mount=${mount},target=/out/secret ["/bin/busybox", "ls", "/out/secret"]`],
      // Below /proc nothing can be made, which is told.
      ...(place("").startsWith("/proc")
        ? { code: "SANDBOX_MOUNT_FAILED", names: "/proc/self/root" }
        : {}),
    })),
  ),
  {
    name: "an agent's socket in its usual place, which is a link out",
    links: { run: "{canary}" },
    lines: [
      `RUN --mount=type=ssh ["/bin/busybox", "sh", "-c", "/bin/busybox test -S $SSH_AUTH_SOCK"]`,
    ],
    has: { run: "link {canary}" },
  },
  {
    name: "RUN that writes to a HOME behind a link",
    links: { home: "{canary}" },
    nodes: [file("etc/passwd", "bob:x:12:13::/home/secret:/\n")],
    lines: [
      'RUN ["/bin/busybox", "mkdir", "-p", "{canary}/secret"]',
      "USER bob",
      'RUN ["/bin/busybox", "sh", "-c", "/bin/busybox ls -d ~/ && ! echo mine > ~/f"]',
      "USER 0",
      'RUN ["/bin/busybox", "sh", "-c", "echo mine > {canary}/secret/f"]',
    ],
    has: { home: "link {canary}", [inside("secret/f")]: "file 0:0 mine\n" },
  },
  {
    name: "RUN --mount=type=tmpfs in a circle",
    links: circle,
    lines: ['RUN --mount=type=tmpfs,target=/out/m ["/bin/busybox", "true"]'],
    ...refused("out/m"),
  },
  ...surroundings.map((path) => ({
    name: `RUN with /${path} as a link out`,
    links: { [path]: path.startsWith("etc/") ? "{canary}/secret" : "{canary}" },
    lines: ['RUN ["/bin/busybox", "true"]'],
    has: { [path]: `link ${path.startsWith("etc/") ? "{canary}/secret" : "{canary}"}` },
    ...mounted.get(path),
  })),
  ...surroundings.map((path) => ({
    name: `RUN with /${path} as a circle`,
    links: { [path]: `/${path}` },
    lines: ['RUN ["/bin/busybox", "true"]'],
    has: { [path]: `link /${path}` },
    ...(mounted.get(path) ?? circular.get(path)),
  })),
];

const all = process.env["TSBUILD_TEST_ALL_LINKS"] !== undefined;

describe.each(["builtin", "chroot"])("in the %s sandbox", (isolation) => {
  // One way stands for the others that look alike; what runs nothing is the same in each sandbox.
  const some = rows.filter(({ name, lines }) => {
    if (/, (absolute|relative)$/.test(name)) return false;
    return isolation === "builtin" || lines.some((line) => /RUN/.test(line));
  });
  test.for(all ? rows : some)("$name", async (row, ctx) => {
    if (process.getuid?.() !== 0) return ctx.skip("mounts and owners need root");
    const lacking = await whyNoBusybox();
    if (lacking !== undefined) return ctx.skip(lacking);
    const { result, canary, out, real } = await attempt(row, isolation);
    canary.expectUntouched();
    expect(result.stdout + result.stderr).not.toContain(canary.secret);
    if (row.code !== undefined && (row.onlyIn ?? isolation) === isolation) {
      expect(result.stderr).toContain(`[${row.code}]`);
      expect(result.stderr).toMatch(/^hint: /m);
      expect(result.stderr).toContain(row.names);
      return;
    }
    expect(result).toMatchObject({ code: 0 });
    execFileSync("tar", ["--numeric-owner", "-xpf", join(out, "tree.tar"), "-C", out]);
    expect(spawnSync("grep", ["-rqD", "skip", canary.secret, out]).status).toBe(1);
    for (const [path, expected] of Object.entries(row.has ?? {}))
      expect(looks(join(out, real(path))), path).toBe(real(expected));
  });
});

/** Builds on an image with the row's links. */
async function attempt(row: Row, isolation: string) {
  const folder = await temporaryFolder();
  const canary = makeCanary(join(folder, "outside"));
  const real = (text: string): string => text.replaceAll("{canary}", canary.directory);
  const [context, out] = [join(folder, "context"), join(folder, "out")];
  for (const each of [context, out]) mkdirSync(each);
  const links = Object.entries(row.links ?? {}).map(([name, to]) => symlink(name, real(to)));
  const busybox = raw.entry({ name: "bin/busybox", mode: 0o755 }, readFileSync("/bin/busybox"));
  writeFileSync(join(context, "base.tar"), tar(busybox, ...(row.nodes ?? []), ...links));
  writeFileSync(join(context, "a.tar"), tar(file("secret", "packed")));
  writeFileSync(join(context, "f"), "mine");
  const lines = ["FROM scratch AS base", "ADD base.tar /", "FROM base", ...row.lines.map(real)];
  writeFileSync(join(context, "Dockerfile"), lines.join("\n"));
  // Nobody answers there; a step only looks for it.
  const agent = createServer().listen(join(folder, "agent"));
  onTestFinished(() => void agent.close());
  const args = [
    ...["--isolation", isolation, "build", "--secret", `id=s,src=${join(context, "f")}`],
    ...["--ssh", `default=${join(folder, "agent")}`],
  ];
  const output = `type=tar,dest=${join(out, "tree.tar")}`;
  const result = await runCli([...args, "-o", output, context], { root: join(folder, "root") });
  return { result, canary, out, real };
}

function looks(path: string): string {
  const stat = lstatSync(path);
  if (stat.isSymbolicLink()) return `link ${readlinkSync(path)}`;
  const owner = `${String(stat.uid)}:${String(stat.gid)}`;
  return stat.isDirectory() ? `directory ${owner}` : `file ${owner} ${readFileSync(path, "utf8")}`;
}
