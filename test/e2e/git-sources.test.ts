import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { access, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { openGitServer, type GitServer } from "../support/git-server.ts";
import { makeFolder } from "../support/setup-context.ts";
import { outcomesOf } from "../support/setup-progress.ts";
import { errorCode, runProgram, useWorkspace } from "../support/setup-workspace.ts";

const { cli, context, expectCli, freshRoot } = useWorkspace({ programs: ["git"] });

let folder: string;
let server: GitServer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tsbuild-git-"));
  server = await openGitServer(folder);
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => {
  server.expected = undefined;
  server.requests.length = 0;
});

const dockerfile = "FROM scratch\nCOPY . /\n";

/** Files that a build makes: `mode owner time path [-> target]`. */
async function filesOf(...args: string[]): Promise<string[]> {
  const out = await makeFolder("out");
  await expectCli(["-o", `type=tar,dest=${out}/out.tar`, ...args]);
  const listing = await runProgram("tar", [
    "--numeric-owner",
    "--full-time",
    "--utc",
    "-tvf",
    join(out, "out.tar"),
  ]);
  return listing
    .trim()
    .split("\n")
    .map((line) => line.replace(/ +\d+ (\d{4}-)/, " $1").replace(/ +/g, " "))
    .sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

function nameOf(line: string): string {
  return line.split(" ").slice(4).join(" ");
}

describe("a repository as the main context", () => {
  test("gives files 0644 or 0755 of root, symlinks, and no .git, whatever they were before [3.70, 4.14]", async () => {
    await server.commit("looks", {
      Dockerfile: dockerfile,
      "bin/tool": { mode: 0o770, content: "#!/bin/sh\n" },
      "private.txt": { mode: 0o600, content: "p" },
      link: { link: "bin/tool" },
    });
    expect(await filesOf(server.url("looks"))).toEqual([
      "-rw-r--r-- 0/0 2020-02-02 02:02:02 Dockerfile",
      "drwxr-xr-x 0/0 2020-02-02 02:02:02 bin/",
      "-rwxr-xr-x 0/0 2020-02-02 02:02:02 bin/tool",
      "lrwxrwxrwx 0/0 2020-02-02 02:02:02 link -> bin/tool",
      "-rw-r--r-- 0/0 2020-02-02 02:02:02 private.txt",
    ]);
  });

  test("takes a branch, a tag, a commit, and a folder [3.69, 4.14]", async () => {
    const first = await server.commit("refs", {
      Dockerfile: dockerfile,
      "a/Dockerfile": dockerfile,
    });
    await server.git("refs", "tag", "-m", "annotated", "v1", first);
    await server.commit("refs", { "a/second": "2" });
    await server.commit("refs", { "a/third": "3" }, { branch: "next" });
    const names = async (suffix: string): Promise<string[]> =>
      (await filesOf(server.url("refs") + suffix)).map((line) => line.split(" ").at(-1) ?? "");
    expect(await names("")).toEqual(["Dockerfile", "a/", "a/Dockerfile", "a/second"]);
    expect(await names("#next:a")).toEqual(["Dockerfile", "second", "third"]);
    expect(await names("#v1:/a/")).toEqual(["Dockerfile"]);
    expect(await names("?tag=v1&subdir=a")).toEqual(["Dockerfile"]);
    expect(await names(`#${first}`)).toEqual(["Dockerfile", "a/", "a/Dockerfile"]);
    expect(await names(`?branch=next&commit=${first.slice(0, 3)}`).catch(() => "refused")).toBe(
      "refused",
    );
  });

  test("reads -f inside of it, is not filtered, and keeps .git when it is told to [2.22, 4.15, 5.2]", async () => {
    await server.commit("inside", {
      "deep/Other.dockerfile": dockerfile,
      ".dockerignore": "*\n",
      "kept.txt": "k",
    });
    const url = server.url("inside");
    const plain = await filesOf("-f", "deep/Other.dockerfile", url);
    expect(plain.map((line) => line.split(" ").at(-1))).toContain("kept.txt");
    const kept = await filesOf(
      ...["-f", "deep/Other.dockerfile", "--build-arg", "BUILDKIT_CONTEXT_KEEP_GIT_DIR=1", url],
    );
    expect(kept.map((line) => line.split(" ").at(-1))).toContain(".git/HEAD");
    const outside = await cli(["-f", "../Dockerfile", url]);
    expect(errorCode(outside)).toBe("DOCKERFILE_NOT_FOUND");
  });

  test("finds dockerfile in lower case, and behind a symlink [1.2]", async () => {
    await server.commit("lower", { dockerfile: { link: "real/file" }, "real/file": dockerfile });
    expect((await filesOf(server.url("lower"))).length).toBe(3);
  });

  test("SOURCE_DATE_EPOCH=context is the time of the commit [2.21, 3.3]", async () => {
    const date = "2015-05-05T05:05:05Z";
    await server.commit("time", { Dockerfile: dockerfile }, { date });
    await expectCli([
      "-t",
      "time:1",
      "--build-arg",
      "SOURCE_DATE_EPOCH=context",
      server.url("time"),
    ]);
    const [image] = JSON.parse((await expectCli(["inspect", "time:1"])).stdout) as {
      readonly Created: string;
    }[];
    expect(image?.Created).toMatch(/^2015-05-05T05:05:05/);
  });
});

describe("ADD of a repository", () => {
  test("puts the whole repository, or a folder, into the destination; with --keep-git-dir also .git [3.69, 3.70]", async () => {
    await server.commit("added", { "a.txt": "a", "lib/b.txt": "b" });
    const made = await context({
      Dockerfile: `FROM scratch
ADD ${server.url("added")} /all/
ADD ${server.url("added")}#main:lib /lib
ADD --keep-git-dir=true ${server.url("added")}#main /git/
`,
    });
    const out = await makeFolder("out");
    await expectCli(["-o", out, made]);
    expect(await readdir(join(out, "all"))).toEqual(["a.txt", "lib"]);
    expect(await readdir(join(out, "lib"))).toEqual(["b.txt"]);
    const inGit = async (...args: string[]): Promise<string> =>
      (await runProgram("git", ["-c", "safe.directory=*", "-C", join(out, "git"), ...args])).trim();
    expect(await inGit("status", "--porcelain")).toBe("");
    expect(await inGit("rev-parse", "--abbrev-ref", "HEAD")).toBe("main");
    expect(await inGit("remote", "get-url", "origin")).toBe(server.url("added"));
  });

  test("its key is the commit: another ref and a checksum change nothing, a new commit does [6.15]", async () => {
    const commit = await server.commit("keyed", { "a.txt": "a" });
    await server.git("keyed", "branch", "same");
    const root = await freshRoot();
    const outcome = async (line: string): Promise<string | undefined> => {
      const made = await context({ Dockerfile: `FROM scratch\n${line}\n` });
      const args = ["--progress", "rawjson", "-o", "type=cacheonly", made];
      const { stderr } = await expectCli(args, { root });
      const outcomes = Object.entries(outcomesOf(stderr));
      return outcomes.findLast(([name]) => name.includes("ADD"))?.[1];
    };
    const url = server.url("keyed");
    expect(await outcome(`ADD ${url} /x`)).toBe("done");
    await rm(join(root, "cache/git"), { recursive: true });
    server.requests.length = 0;
    expect(await outcome(`ADD ${url} /x`)).toBe("cached");
    // One question for the ref, which takes two requests; nothing was fetched.
    expect(server.requests.length).toBe(2);
    expect(await outcome(`ADD ${url}#same /x`)).toBe("cached");
    expect(await outcome(`ADD --checksum=${commit.slice(0, 10)} ${url} /x`)).toBe("cached");
    expect(await outcome(`ADD ${url}#${commit} /x`)).toBe("cached");
    await server.commit("keyed", { "a.txt": "b" });
    expect(await outcome(`ADD ${url} /x`)).toBe("done");
  });

  test("a checksum must be the commit's beginning [3.68]", async () => {
    await server.commit("summed", { "a.txt": "a" });
    const line = `ADD --checksum=0123456789 ${server.url("summed")} /x`;
    const result = await cli([await context({ Dockerfile: `FROM scratch\n${line}\n` })]);
    expect(errorCode(result)).toBe("CONTEXT_GIT_CHECKSUM");
    expect(result.stderr).toContain("expected checksum to match 0123456789");
    expect(result.stderr).toMatch(/>>>.*ADD/);
  });

  test("works where the server gives out nothing but files [3.69]", async () => {
    const first = await server.commit("plain", { "a.txt": "a" });
    await server.commit("plain", { "b.txt": "b" });
    const out = await makeFolder("out");
    const url = `${server.origin}/dumb/plain.git`;
    const made = await context({
      Dockerfile: `FROM scratch\nADD ${url} /n\nADD ${url}#${first} /o\n`,
    });
    await expectCli(["-o", out, made]);
    expect(await readdir(join(out, "n"))).toEqual(["a.txt", "b.txt"]);
    expect(await readdir(join(out, "o"))).toEqual(["a.txt"]);
  });

  test("tells a ref, a folder and a repository that are not there [3.69]", async () => {
    await server.commit("lacking", { "a.txt": "a" });
    const failure = async (url: string): Promise<string | undefined> => {
      const result = await cli([await context({ Dockerfile: `FROM scratch\nADD ${url} /x\n` })]);
      expect(result.code).toBe(1);
      expect(result.stderr).toMatch(/>>>.*ADD/);
      return errorCode(result);
    };
    const url = server.url("lacking");
    expect(await failure(`${url}#nowhere`)).toBe("CONTEXT_GIT_REF_NOT_FOUND");
    expect(await failure(`${url}#${"0".repeat(40)}`)).toBe("CONTEXT_GIT_REF_NOT_FOUND");
    expect(await failure(`${url}#main:nowhere`)).toBe("CONTEXT_SOURCE_NOT_FOUND");
    expect(await failure(server.url("nobody"))).toBe("CONTEXT_GIT_FAILED");
  });

  test("a machine without git is told so", async () => {
    const made = await context({ Dockerfile: `FROM scratch\nADD ${server.url("x")} /x\n` });
    const result = await cli([made], { env: { PATH: "/nowhere" } });
    expect(errorCode(result)).toBe("CONTEXT_GIT_MISSING");
    expect(result.stderr).toContain("install git");
  });
});

describe("credentials", () => {
  const basic = (pair: string): string => `Basic ${Buffer.from(pair).toString("base64")}`;

  test("of the URL are sent, and stand in no message, history or cache [3.71]", async () => {
    await server.commit("private", { "a.txt": "a" });
    server.expected = basic("user:geheim");
    const url = server.url("private").replace("//", "//user:geheim@");
    const made = await context({ Dockerfile: `FROM scratch\nADD ${url} /x\n` });
    const root = await freshRoot();
    const { stderr } = await expectCli(["--progress", "plain", "-t", "p:1", made], { root });
    const history = (await expectCli(["history", "--no-trunc", "p:1"], { root })).stdout;
    expect(history).toContain("private.git");
    expect(stderr + history).not.toContain("geheim");
    await expect(runProgram("grep", ["-rl", "geheim", root])).rejects.toThrow("grep");
    const wrong = await cli([
      await context({ Dockerfile: `FROM scratch\nADD ${url.replace("geheim", "falsch")} /x\n` }),
    ]);
    expect(errorCode(wrong)).toBe("CONTEXT_GIT_FAILED");
    expect(wrong.stderr).toContain(">>> ADD");
    expect(wrong.stderr).not.toContain("falsch");
  });

  test("are secrets: GIT_AUTH_TOKEN and GIT_AUTH_HEADER, those for the host first [3.71]", async () => {
    await server.commit("tokens", { Dockerfile: dockerfile, "a.txt": "a" });
    const env = { TOKEN: "geheim", OTHER: "falsch" };
    const url = server.url("tokens");
    const host = new URL(url).host;
    const secrets = async (...pairs: string[]): Promise<number> => {
      const flags = pairs.flatMap((pair) => ["--secret", pair]);
      return (await cli([...flags, "-o", "type=cacheonly", url], { env })).code;
    };
    server.expected = basic("x-access-token:geheim");
    expect(await secrets()).toBe(1);
    expect(await secrets("id=GIT_AUTH_TOKEN,env=TOKEN")).toBe(0);
    const specific = `id=GIT_AUTH_TOKEN.${host},env=TOKEN`;
    expect(await secrets("id=GIT_AUTH_TOKEN,env=OTHER", specific)).toBe(0);
    server.expected = "Custom geheim";
    const header = await makeFolder();
    await writeFile(join(header, "header"), "Custom geheim\n");
    expect(await secrets(`id=GIT_AUTH_HEADER,src=${header}/header`)).toBe(0);
    const made = await context({ Dockerfile: `FROM scratch\nADD ${url} /x\n` });
    const flags = ["--secret", `id=GIT_AUTH_HEADER,src=${header}/header`];
    await expectCli([...flags, "-o", "type=cacheonly", made]);
  });
});

describe("other ways to a repository", () => {
  test("git:// [3.69]", async () => {
    await server.commit("daemon", { "a.txt": "a" });
    const args = ["daemon", "--inetd", `--base-path=${folder}`, "--export-all"];
    const daemon = createServer((socket) => {
      const child = spawn("git", args, { stdio: ["pipe", "pipe", "inherit"] });
      // Whoever hangs up first.
      for (const stream of [socket, child.stdin]) stream.on("error", () => undefined);
      socket.pipe(child.stdin);
      child.stdout.pipe(socket);
    }).listen(0, "127.0.0.1");
    onTestFinished(() => void daemon.close());
    await once(daemon, "listening");
    const { port } = daemon.address() as AddressInfo;
    const url = `git://127.0.0.1:${String(port)}/daemon.git`;
    const out = await makeFolder("out");
    await expectCli(["-o", out, await context({ Dockerfile: `FROM scratch\nADD ${url} /\n` })]);
    expect(await readdir(out)).toEqual(["a.txt"]);
  });

  test("ssh, with the agent `default`, and for the main context with the caller's [3.69, 3.71]", async () => {
    await server.commit("shell", { Dockerfile: dockerfile, "a.txt": "a" });
    // Stands for a server and its login: runs what it is asked for, and tells how it was called.
    const bin = await makeFolder("bin");
    const told = join(bin, "told");
    await writeFile(
      join(bin, "ssh"),
      `#!/bin/sh\necho "$* agent=$SSH_AUTH_SOCK" >> ${told}\nfor last; do :; done\ncd ${folder}\nexec sh -c "$last"\n`,
      { mode: 0o755 },
    );
    const agent = createServer((socket) => socket.destroy()).listen(join(bin, "agent"));
    const env = { PATH: `${bin}:${process.env["PATH"] ?? ""}`, SSH_AUTH_SOCK: join(bin, "agent") };
    try {
      const scp = `git@host.example:${folder}/shell.git`;
      await expectCli(["-o", "type=cacheonly", scp], { env });
      const calls = await readFile(told, "utf8");
      expect(calls).toContain("-F /dev/null");
      expect(calls).toContain("git@host.example");
      expect(calls).toContain(`agent=${bin}/agent`);
      await writeFile(told, "");
      const url = `ssh://git@host.example${folder}/shell.git`;
      const made = await context({ Dockerfile: `FROM scratch\nADD ${url} /\n` });
      const out = await makeFolder("out");
      const root = await freshRoot();
      await expectCli(["-o", out, made], { env, root });
      expect(await readdir(out)).toEqual(["Dockerfile", "a.txt"]);
      expect(await readFile(told, "utf8")).not.toMatch(/agent=\S/);
      await expectCli(["--ssh", "default", "-o", out, made], { env, root: await freshRoot() });
      expect(await readFile(told, "utf8")).toMatch(/agent=\S+git-agent/);
    } finally {
      agent.close();
    }
  });
});

describe("hostile repositories", () => {
  test("neither hooks, filters nor attributes of a repository run or change anything [3.70]", async () => {
    const mark = join(folder, "was-here");
    await server.commit("hooks", {
      "a.txt": "$Id$\r\n",
      ".gitattributes": "*.txt filter=evil ident text eol=lf\n",
      ".gitconfig": `[filter "evil"]\n\tsmudge = touch ${mark}\n`,
      Dockerfile: dockerfile,
    });
    const out = await makeFolder("out");
    await expectCli(["-o", out, server.url("hooks")]);
    expect(await readdir(out)).toContain("a.txt");
    await expect(access(mark)).rejects.toThrow("ENOENT");
  });

  test.for([
    ["ext::sh -c 'touch MARK'", "is not allowed"],
    ["file:///etc", "is not allowed"],
    ["/etc", "is not allowed"],
    ["-u./payload", "is not allowed"],
  ])("a submodule of %s is refused", async ([url = "", reason = ""]) => {
    const mark = join(folder, "sub-was-here");
    await server.commit("evil", {
      Dockerfile: dockerfile,
      ".gitmodules": `[submodule "s"]\n\tpath = s\n\turl = "${url.replace("MARK", mark)}"\n`,
    });
    const work = join(folder, "work/evil");
    const head = (await runProgram("git", ["-C", work, "rev-parse", "HEAD"])).trim();
    await runProgram("git", [
      ...["-C", work, "update-index", "--add", "--cacheinfo"],
      `160000,${head},s`,
    ]);
    const identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
    await runProgram("git", ["-C", work, ...identity, "commit", "-qm", "sub"]);
    await runProgram("git", ["-C", work, "push", "-qf", join(folder, "evil.git"), "HEAD:main"]);
    await runProgram("git", ["-C", work, "rm", "-qf", "--cached", "s"]);
    const result = await cli([server.url("evil")]);
    expect(errorCode(result)).toBe("CONTEXT_GIT_FAILED");
    expect(result.stderr).toContain(reason);
    await expect(access(mark)).rejects.toThrow("ENOENT");
    await expectCli(["-o", "type=cacheonly", `${server.url("evil")}?submodules=false`]);
  });

  test("a symlink that leads out of the tree stays a link, and COPY does not follow it out [3.70]", async () => {
    await server.commit("links", {
      "up/Dockerfile": "FROM scratch\nCOPY out /copied\n",
      "up/out": { link: "../../../../../../etc/hostname" },
    });
    const result = await cli(["-o", "type=cacheonly", `${server.url("links")}#:up`]);
    expect(errorCode(result)).toBe("CONTEXT_SOURCE_NOT_FOUND");
  });
});

test("submodules come along, also by relative URL and in submodules [3.70]", async () => {
  const inner = await server.commit("inner", { "inner.txt": "i" });
  const outer = join(folder, "work/outer");
  await server.commit("outer", {
    "outer.txt": "o",
    ".gitmodules": `[submodule "in"]\n\tpath = in\n\turl = ../inner.git\n`,
  });
  const run = async (work: string, ...args: string[]): Promise<string> =>
    runProgram("git", ["-C", work, "-c", "user.name=t", "-c", "user.email=t@example.com", ...args]);
  await run(outer, "update-index", "--add", "--cacheinfo", `160000,${inner},in`);
  await run(outer, "commit", "-qm", "sub");
  await run(outer, "push", "-qf", join(folder, "outer.git"), "HEAD:main");
  const outerCommit = (await run(outer, "rev-parse", "HEAD")).trim();
  await server.commit("top", {
    Dockerfile: dockerfile,
    ".gitmodules": `[submodule "x"]\n\tpath = mods/x\n\turl = ${server.url("outer")}\n`,
  });
  const top = join(folder, "work/top");
  await run(top, "update-index", "--add", "--cacheinfo", `160000,${outerCommit},mods/x`);
  await run(top, "commit", "-qm", "sub");
  await run(top, "push", "-qf", join(folder, "top.git"), "HEAD:main");
  const names = (await filesOf(server.url("top"))).map((line) => line.split(" ").at(-1));
  expect(names).toContain("mods/x/outer.txt");
  expect(names).toContain("mods/x/in/inner.txt");
  const without = await filesOf(`${server.url("top")}?submodules=0`);
  expect(without.map((line) => line.split(" ").at(-1))).toContain("mods/x/");
  expect(without.join("\n")).not.toContain("outer.txt");
});

test("what a killed git left in a repository keeps nobody out, and goes [3.69]", async () => {
  await server.commit("killed", { Dockerfile: dockerfile });
  const root = await freshRoot();
  await expectCli(["-o", "type=cacheonly", server.url("killed")], { root });
  const next = await server.commit("killed", { "a.txt": "a" });
  const [name = ""] = (await readdir(join(root, "cache/git"))).filter((each) => each.length > 20);
  const repository = join(root, "cache/git", name);
  const marks = `refs/tsbuild/${next}`;
  const left = ["shallow.lock", "config.lock", `${marks}.lock`, "objects/tmp_obj_1", marks];
  await Promise.all(left.map(async (path) => writeFile(join(repository, path), "")));
  await expectCli(["-o", "type=cacheonly", server.url("killed")], { root });
  const files = await readdir(repository, { recursive: true });
  expect(files.filter((path) => /\.lock$|tmp_/.test(path))).toEqual([]);
});

test("a disk that is full while git fetches is told as such, and git leaves no room taken", async (test) => {
  await server.commit("large", { Dockerfile: dockerfile, large: randomBytes(12_000_000) });
  const root = await makeFolder("full");
  try {
    await runProgram("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", root]);
  } catch (error) {
    test.skip(`no tmpfs can be mounted here: ${String(error)}`);
  }
  try {
    const result = await cli([server.url("large")], { root });
    expect(errorCode(result), result.stderr).toBe("DISK_FULL");
    const files = await readdir(join(root, "cache/git"), { recursive: true });
    expect(files.filter((path) => path.includes("tmp_"))).toEqual([]);
  } finally {
    await runProgram("umount", ["-l", root]);
  }
});

test("builder prune removes the repositories, and system df counts them", async () => {
  await server.commit("pruned", { Dockerfile: dockerfile });
  const root = await freshRoot();
  await expectCli(["-o", "type=cacheonly", server.url("pruned")], { root });
  const repositories = join(root, "cache/git");
  expect((await readdir(repositories)).length).toBe(1);
  const { stdout } = await expectCli(["system", "df"], { root });
  expect(stdout).toMatch(/Build Cache +[23] /);
  await expectCli(["builder", "prune", "--all", "--force"], { root });
  await expect(access(repositories)).rejects.toThrow("ENOENT");
  await expectCli(["-o", "type=cacheonly", server.url("pruned")], { root });
});
