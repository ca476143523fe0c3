import { execFile } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { copyFile, cp, link, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from "vitest";
import { expectCli, tsbuildBin } from "../support/cli.ts";
import { debianRootTar } from "../support/debian.ts";
import { layersOf } from "../support/layer-looks.ts";
import { findMarkedProcesses } from "../support/marked-processes.ts";
import { whatIsLacking } from "../support/setup-workspace.ts";
import { UnprivilegedContainer, unpackRoot } from "../support/unprivileged-container.ts";

// Work that images are really made of, by root in a container with Docker's default capabilities and seccomp profile,
// compared with the same work with all privileges.

const lacking = whatIsLacking(["runc", "mmdebstrap", "unshare", "tar"]);
const isLong = process.env["TSBUILD_LONG_TESTS"] !== undefined;
let folder = "";
let container: UnprivilegedContainer;

beforeAll(async () => {
  if (lacking !== undefined) return;
  folder = await mkdtemp(join(tmpdir(), "tsbuild-unprivileged-work-"));
  const tar = await debianRootTar();
  await unpackRoot(tar, join(folder, "lower"));
  await mkdir(join(folder, "debian"));
  const copied = join(folder, "debian/debian.tar");
  await link(tar, copied).catch(async () => promisify(execFile)("cp", [tar, copied]));
  const dir = await mkdtemp(join(folder, "container-"));
  const privileges = { volumes: [folder] };
  container = await UnprivilegedContainer.create({ dir, lower: join(folder, "lower"), privileges });
});
beforeEach((step) => {
  if (lacking !== undefined) step.skip(lacking);
});
afterAll(async () => {
  if (folder !== "") await rm(folder, { recursive: true, force: true });
});

/** What apt leaves of the hour at which it ran, in which it differs from itself. */
const tidy = "rm -rf /var/lib/apt/lists /var/cache/apt /var/cache/ldconfig /var/log/apt";

const debian = `FROM scratch AS base
ADD debian.tar /
FROM base
RUN apt-get update && apt-get install -y --no-install-recommends sudo libcap2-bin attr && ${tidy}
RUN --mount=type=secret,id=token,target=/etc/ssl/token grep -q nobody /etc/ssl/token && cp /bin/true /usr/bin/capped \\
 && setcap cap_net_raw+p /usr/bin/capped && setfattr -n user.note -v "a b" /usr/bin/capped \\
 && touch /srv/far && chown 3000000:4000000 /srv/far && chmod 6711 /srv/far \\
 && mknod /srv/null c 1 3 && mknod /srv/disk b 8 0 && mkfifo /srv/pipe
RUN useradd -m -u 1000 alice && echo 'alice ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/alice \\
 && chmod 440 /etc/sudoers.d/alice && su alice -c 'id -u' | grep -qx 1000
USER alice
WORKDIR /home/alice/w
RUN id -un > who && sudo -n id -u | grep -qx 0 && sudo -n touch by-root && mkdir t && touch t/a && chmod 700 t
USER root
RUN mkdir -p /tmp/x/d && cd /tmp/x && touch d/f d/g && chown 5:6 d/f && chown 3000001:7 d/g && chmod 4755 d/g \\
 && tar cf /x.tar . && mkdir /srv/x && tar -C /srv/x --same-owner -xpf /x.tar && rm -rf /tmp/x /x.tar
`;

/** What each layer changes, built by `container` and with all privileges. */
async function buildBoth(name: string, dockerfile: string): Promise<[string[][], string[][]]> {
  await writeFile(join(folder, "debian/Dockerfile"), dockerfile);
  await writeFile(join(folder, "token"), "nobody's secret");
  const build = (output: string): string[] => [
    ...["build", "--progress", "plain", "--secret", `id=token,src=${join(folder, "token")}`],
    ...["-o", `type=oci,compression=uncompressed,dest=${join(folder, output)}`],
    join(folder, "debian"),
  ];
  const there = await container.tsbuild(build(`${name}-there.tar`));
  expect(there.code, there.stderr).toBe(0);
  await expectCli(build(`${name}-here.tar`), { root: join(folder, "root") });
  return [
    await layersOf(join(folder, `${name}-there.tar`)),
    await layersOf(join(folder, `${name}-here.tar`)),
  ];
}

const whyNot = "takes long, and much of it from the network: TSBUILD_LONG_TESTS=1";

test("packages, capabilities, devices, far owners, su and sudo: the same as with privileges", async (ctx) => {
  if (!isLong) return ctx.skip(whyNot);
  const [there, here] = await buildBoth("apt", debian);
  expect(there).toEqual(here);
  // The comparison is of something.
  const all = here.flat();
  expect(all).toContain("srv/far file 6711 3000000:4000000");
  expect(all).toContain("srv/x/d/g file 4755 3000001:7");
  expect(all).toContain("srv/disk block-device 644 0:0");
  expect(all).toContainEqual(
    expect.stringMatching(
      /^usr\/bin\/capped file 755 0:0 security\.capability=0000000200200000\d* user\.note=612062$/,
    ),
  );
  expect(all).toContain("usr/bin/sudo file 4755 0:0");
  expect(all).toContain("home/alice/w/t/a file 644 1000:1000");
});

const pythonAndNode = `FROM scratch AS base
ADD debian.tar /
FROM base
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv && ${tidy}
COPY node /usr/local/bin/node
COPY npm /usr/local/lib/npm
COPY package /src/
RUN python3 -m venv /opt/venv && /opt/venv/bin/pip install --no-index --no-compile /src/python \
 && /opt/venv/bin/greet && find / -xdev -name __pycache__ -exec rm -rf {} +
WORKDIR /app
RUN npm() { node /usr/local/lib/npm/bin/npm-cli.js "$@"; } && npm pack --silent /src/node && npm init -y >/dev/null \
 && npm install --offline --no-audit ./greet-1.0.0.tgz && node_modules/.bin/greet && npm cache clean --force \
 && rm -rf ~/.npm /tmp/*
`;

test("pip and npm: the same as with privileges", async (ctx) => {
  if (!isLong) return ctx.skip(whyNot);
  const context = join(folder, "debian");
  const npm = join(dirname(process.execPath), "../lib/node_modules/npm");
  if (!existsSync(npm)) return ctx.skip("npm does not lie beside this Node");
  await copyFile(process.execPath, join(context, "node"));
  await cp(npm, join(context, "npm"), { recursive: true });
  await makeFiles(join(context, "package"), {
    "python/setup.py": `from setuptools import setup
setup(name="greet", version="1.0", py_modules=["greet"], entry_points={"console_scripts": ["greet = greet:main"]})
`,
    "python/greet.py": "def main():\n    print('hello')\n",
    "node/package.json": JSON.stringify({ name: "greet", version: "1.0.0", bin: "greet.js" }),
    "node/greet.js": "#!/usr/local/bin/node\nconsole.log('hello');\n",
  });
  const [there, here] = await buildBoth("pip", pythonAndNode);
  expect(there).toEqual(here);
  const all = here.flat();
  expect(all).toContain("opt/venv/bin/greet file 755 0:0");
  expect(all).toContain("app/node_modules/greet/greet.js file 755 0:0");
});

test("kill -9 there: nothing runs on; the next build, save and load work", async () => {
  const mark = String(700_000 + process.pid);
  await makeFiles(join(folder, "kill"), {
    Dockerfile: `FROM scratch
ADD debian.tar /
ARG LENGTH=${mark}
RUN --mount=type=cache,target=/kept touch /kept/x /srv/x && echo up && (setsid sleep $LENGTH &) && sleep $LENGTH
`,
  });
  await link(join(folder, "debian/debian.tar"), join(folder, "kill/debian.tar"));
  const { code, stdout, stderr } = await container.run([
    ...["bash", "-ec"],
    `tsbuild() { exec '${process.execPath}' '${tsbuildBin}' "$@"; }
     tsbuild build --progress plain '${folder}/kill' > /tmp/log 2>&1 & pid=$!
     until grep -qw up$ /tmp/log; do kill -0 $pid; sleep 0.1; done
     kill -9 $pid
     while grep -aqs 'slee[p].${mark}' /proc/[0-9]*/cmdline; do sleep 0.1; done
     (tsbuild build -q --build-arg LENGTH=0 -t x '${folder}/kill')
     (tsbuild system verify >&2)
     (tsbuild save x -o /tmp/x.tar)
     (TSBUILD_ROOT=/var/lib/other tsbuild load -q -i /tmp/x.tar >&2)
     (TSBUILD_ROOT=/var/lib/other tsbuild inspect x | grep -o '"Id": *"[^"]*"')`,
  ]);
  expect({ code, stderr }).toMatchObject({ code: 0 });
  const [id = "", loaded = ""] = stdout.trim().split("\n");
  expect(stderr).toContain("nothing is damaged");
  expect(loaded).toContain(id);
  expect(findMarkedProcesses(mark)).toEqual([]);
});

test("an agent answers in a step there", async () => {
  const identities = Buffer.from([0, 0, 0, 1, 11]);
  const none = Buffer.from([0, 0, 0, 5, 12, 0, 0, 0, 0]);
  const agent = createServer((socket) => {
    socket.on("data", (request) => socket.write(request.equals(identities) ? none : "?"));
  }).listen(join(folder, "agent"));
  onTestFinished(() => void agent.close());
  await once(agent, "listening");
  const script = `use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Peer => $ENV{SSH_AUTH_SOCK}) or die $!;
syswrite $s, pack("NC", 1, 11); sysread $s, my $answer, 100; print "answer ", unpack("H*", $answer), "\\n";
printf "looks %o %d\\n", (stat $ENV{SSH_AUTH_SOCK})[2] & 07777, (stat _)[4];
`;
  await makeFiles(join(folder, "agent-context"), {
    "ask.pl": script,
    Dockerfile: `FROM scratch
ADD debian.tar /
COPY ask.pl /
RUN --mount=type=ssh,mode=0666,uid=33,required perl ask.pl; su www-data -s /bin/sh -c 'perl /ask.pl'
RUN test ! -e /run/buildkit
`,
  });
  await link(join(folder, "debian/debian.tar"), join(folder, "agent-context/debian.tar"));
  const built = await container.tsbuild([
    ...["build", "--progress", "plain", "--ssh", `default=${join(folder, "agent")}`],
    join(folder, "agent-context"),
  ]);
  expect(built).toMatchObject({ code: 0 });
  expect(built.stderr.match(/answer 000000050c00000000/g)).toHaveLength(2);
  expect(built.stderr.match(/looks 666 33/g)).toHaveLength(2);
});

async function makeFiles(place: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(place, name)), { recursive: true });
    await writeFile(join(place, name), content);
  }
}
