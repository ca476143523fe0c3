import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { tsbuildBin } from "../support/cli.ts";
import { startLocalServer } from "../support/local-server.ts";
import { makeFolder } from "../support/setup-context.ts";
import { outcomesOf } from "../support/setup-progress.ts";
import { errorCode, runProgram, useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace({ programs: ["tar", "xz", "skopeo", "strace"] });
const { cli, context, expectCli, output } = workspace;

/** A tar of a folder's content; owners are 12:34 unless the flags say otherwise. */
async function tarOf(folder: string, ...flags: string[]): Promise<Buffer> {
  const file = join(await makeFolder("tar"), "context.tar");
  const owner = ["--owner=12", "--group=34", "--mtime=@1000"];
  await runProgram("tar", [...owner, ...flags, "-cf", file, "-C", folder, "."]);
  return readFile(file);
}

describe("standard input", () => {
  test.for([["plain"], ["--gzip"], ["--xz"]])(
    "a %s tar is the context, with the owners of the archive, and is not filtered [4.14, 5.2]",
    async ([flag = ""]) => {
      const folder = await context({
        Dockerfile: "FROM BUSYBOX\nCOPY in /in\n",
        ".dockerignore": "*",
        "in/file": { mode: 0o640, content: "f" },
      });
      const input = await tarOf(folder, ...(flag === "plain" ? [] : [flag]));
      await expectCli(["-t", "stdin:1", "-"], { input });
      const told = await output("stdin:1", "stat", "-c", "%u:%g %a %Y", "/in/file");
      expect(told).toBe("12:34 640 1000\n");
    },
  );

  test("-f names a file of the tar; its lower-case name does [1.2, 4.15]", async () => {
    const folder = await context({
      dockerfile: "FROM scratch\nCOPY a /lower\n",
      "sub/Other": "FROM scratch\nCOPY a /other\n",
      a: "a",
    });
    const input = await tarOf(folder);
    const built = async (...flags: string[]): Promise<string[]> => {
      const out = await makeFolder("out");
      await expectCli(["-o", out, ...flags, "-"], { input });
      return readdir(out);
    };
    expect(await built()).toEqual(["lower"]);
    expect(await built("-f", "sub/Other")).toEqual(["other"]);
    expect(errorCode(await cli(["-f", "/sub/None", "-"], { input }))).toBe("DOCKERFILE_NOT_FOUND");
  });

  test("a Dockerfile is built with an empty context [4.14]", async () => {
    const out = await makeFolder("out");
    const input = "FROM scratch\nCOPY <<EOF /made\nhello\nEOF\n";
    await expectCli(["-o", out, "-"], { input });
    expect(await readFile(join(out, "made"), "utf8")).toBe("hello\n");
    const lacking = await cli(["-"], { input: "FROM scratch\nCOPY a /a\n" });
    expect(errorCode(lacking)).toBe("CONTEXT_SOURCE_NOT_FOUND");
    expect(lacking.stderr).toContain(">>> COPY a /a");
  });

  test("-f - is the Dockerfile for a directory; - for both is an error [4.15]", async () => {
    const folder = await context({ a: "a", ".dockerignore": "b", b: "b" });
    const out = await makeFolder("out");
    await expectCli(["-o", out, "-f", "-", folder], { input: "FROM scratch\nCOPY . /\n" });
    expect(await readdir(out)).toEqual([".dockerignore", "a"]);
    const both = await cli(["-f", "-", "-"], { input: "FROM scratch\n" });
    expect(both.code).toBe(2);
    expect(both.stderr).toContain("can't use stdin for both build context and dockerfile");
  });

  test("Ctrl-C ends the waiting for it", async () => {
    const args = [tsbuildBin, "--root", workspace.root, "build", "--progress", "plain", "-"];
    const waiting = spawn(process.execPath, args, { stdio: ["pipe", "ignore", "pipe"] });
    waiting.stderr.on("data", (chunk: Buffer) => {
      if (chunk.includes("standard input")) waiting.kill("SIGINT");
    });
    // The pipe stays open: nobody writes, and nobody ends it.
    const [code] = await once(waiting, "close");
    waiting.stdin.destroy();
    expect(code).toBe(130);
  });

  test("a broken or hostile archive is refused and leaves nothing [4.14]", async () => {
    const folder = await context({ Dockerfile: "FROM scratch\n", big: "x".repeat(20_000) });
    const whole = await tarOf(folder);
    const leaving = async (...extra: string[]): Promise<Buffer> => {
      const file = join(await makeFolder("tar"), "c.tar");
      await runProgram("tar", ["-cPf", file, "-C", folder, ...extra]);
      return readFile(file);
    };
    const inputs: readonly Buffer[] = [
      whole.subarray(0, 15_000),
      gzipSync(whole).subarray(0, 200),
      await leaving("--transform", "s,^big,../../tsbuild-was-here,", "Dockerfile", "big"),
    ];
    for (const input of inputs) {
      const result = await cli(["-"], { input });
      expect([result.code, errorCode(result)]).toEqual([1, "CONTEXT_ARCHIVE_INVALID"]);
      expect(result.stderr).toContain("standard input");
    }
    await expect(access("/tmp/tsbuild-was-here")).rejects.toThrow("ENOENT");
    expect(await readdir(join(workspace.root, "tmp"))).toEqual([]);
  });

  test("device nodes and links of an archive stay inside of it [4.14]", async () => {
    const folder = await makeFolder();
    await runProgram("sh", [
      "-c",
      `cd ${folder} && mknod disk b 8 0 && ln -s /etc out && ln -s ../../../../etc/passwd file && printf 'FROM scratch\nCOPY disk /disk\n' > Dockerfile && printf 'FROM scratch\nCOPY out/passwd /p\n' > Two`,
    ]);
    const input = await tarOf(folder);
    const out = join(await makeFolder("out"), "o.tar");
    await expectCli(["-o", `type=tar,dest=${out}`, "-"], { input });
    expect(await runProgram("tar", ["-tvf", out])).toMatch(/^brw.* 12\/34 +8,0 .* disk$/m);
    const through = await cli(["-f", "Two", "-"], { input });
    expect(errorCode(through)).toBe("CONTEXT_SOURCE_NOT_FOUND");
  });
});

describe("URLs", () => {
  test("a tar is unpacked; a Dockerfile is built alone, its file called context [4.14]", async () => {
    const folder = await context({ Dockerfile: "FROM scratch\nCOPY in /\n", "in/a": "a" });
    const tar = await tarOf(folder, "--gzip");
    const server = await startLocalServer((request, response) => {
      response.end(request.url === "/c.tgz" ? tar : "FROM scratch\nCOPY context /c\n");
    });
    const out = await makeFolder("out");
    await expectCli(["-o", out, `${server.origin}/c.tgz`]);
    expect(await readdir(out)).toEqual(["a"]);
    await expectCli(["-o", out, `${server.origin}/some/Dockerfile`]);
    expect(await readFile(join(out, "c"), "utf8")).toContain("COPY context /c");
  });

  test("secrets for their host open them [3.71]", async () => {
    const folder = await context({ a: "a" });
    const server = await startLocalServer((request, response) => {
      const isWelcome = request.headers.authorization === "Bearer geheim";
      response.writeHead(isWelcome ? 200 : 401).end("FROM scratch\nCOPY context /\n");
    });
    const url = `${server.origin}/Dockerfile`;
    const flags = ["-o", "type=cacheonly", "--secret", "id=HTTP_AUTH_TOKEN_127.0.0.1,env=TOKEN"];
    expect(errorCode(await cli(["-o", "type=cacheonly", url]))).toBe("HTTP_FAILED");
    await expectCli([...flags, url], { env: { TOKEN: "geheim" } });
    const named = ["--build-context", `n=${url}`, "-f", "-", folder];
    const input = "FROM scratch\nCOPY --from=n context /\n";
    await expectCli([...flags, ...named], { env: { TOKEN: "geheim" }, input });
  });

  test("-f URL is read, up to 2 MB [4.15]", async () => {
    const server = await startLocalServer((request, response) => {
      response.end(
        request.url === "/big" ? Buffer.alloc(3_000_000, "#") : "FROM scratch\nCOPY a /\n",
      );
    });
    const folder = await context({ a: "a" });
    const out = await makeFolder("out");
    await expectCli(["-o", out, "-f", `${server.origin}/x`, folder]);
    expect(await readdir(out)).toEqual(["a"]);
    const big = await cli(["-f", `${server.origin}/big`, folder]);
    expect(errorCode(big)).toBe("DOCKERFILE_NOT_FOUND");
    expect(big.stderr).toContain("larger than 2 MB");
  });

  test("SOURCE_DATE_EPOCH=context is Last-Modified, or the time of the newest file of an archive [2.21]", async () => {
    const folder = await context({ Dockerfile: "FROM scratch\nARG SOURCE_DATE_EPOCH\nCOPY . /\n" });
    const tar = await tarOf(folder, "--mtime=@1234567890");
    const headers: Record<string, string> = {};
    const server = await startLocalServer((_request, response) => {
      response.writeHead(200, headers).end(tar);
    });
    const epoch = async (): Promise<string | undefined> => {
      const args = ["--build-arg", "SOURCE_DATE_EPOCH=context", "-t", "epoch:1"];
      await expectCli([...args, `${server.origin}/c.tar`]);
      return (await workspace.inspect("epoch:1")).Created;
    };
    expect(await epoch()).toMatch(/^2009-02-13T23:31:30/);
    headers["last-modified"] = new Date(1_000_000_000_000).toUTCString();
    expect(await epoch()).toMatch(/^2001-09-09T01:46:40/);
  });
});

test("a forgotten context is told of", async () => {
  const result = await cli(["-t", "x:1"]);
  expect(result.code).toBe(2);
  expect(result.stderr).toContain("tsbuild -t app:1.0 .");
});

test("a context that is nowhere is told of [4.14]", async () => {
  expect(errorCode(await cli(["/nowhere/at/all"]))).toBe("CONTEXT_NOT_FOUND");
});

describe("--build-context", () => {
  test("a directory replaces a stage and an image, has its own ignore file, and gives files to root [4.10, 4.11, 4.13]", async () => {
    const tools = await context({ "bin/t": "t", secret: "s", ".dockerignore": "secret\n" });
    await runProgram("chown", ["-R", "7:7", tools]);
    const folder = await context({
      Dockerfile: `FROM nowhere.invalid/x AS tools
RUN this is not run
FROM BUSYBOX
COPY --from=tools / /one/
COPY --from=other:1 bin/t /two
RUN --mount=from=other:1,target=/m cp /m/bin/t /three
`,
      ".dockerignore": "bin\n",
    });
    const flags = ["--build-context", `tools=${tools}`, "--build-context", `other:1=${tools}`];
    await expectCli([...flags, "-t", "named:1", folder]);
    const told = await output(
      "named:1",
      "sh",
      "-c",
      "ls -A /one; stat -c %u:%g /one/bin/t; cat /two",
    );
    expect(told).toBe(".dockerignore\nbin\n0:0\nt");
    const missing = await cli(["--build-context", "tools=/nowhere", folder]);
    expect(errorCode(missing)).toBe("CONTEXT_NOT_FOUND");
    for (const value of ["tools", "tools=oci-layout://", "tools=oci-layout://:1"]) {
      const invalid = await cli(["--build-context", value, folder]);
      expect(invalid.code, value).toBe(2);
      expect(invalid.stderr).toContain("invalid context value: ");
      expect(invalid.stderr).toContain(", expected key=value");
    }
  });

  test("only what is copied is read of a directory [4.13, 4.14]", async () => {
    const named = await context({ "used/a": "a", "unread/b": "b" });
    const folder = await context({
      Dockerfile: "FROM scratch\nCOPY --from=n used/a /\nCOPY mine/c /\n",
      "mine/c": "c",
      "other/d": "d",
    });
    const trace = join(await makeFolder(), "trace");
    const words = ["-f", "-qq", "-e", "trace=%file,getdents64", "-o", trace, process.execPath];
    const args = ["--build-context", `n=${named}`, "-o", "type=cacheonly", folder];
    await runProgram("strace", [...words, tsbuildBin, "--root", workspace.root, ...args]);
    const calls = await readFile(trace, "utf8");
    expect(calls).toContain(`${named}/used/a`);
    expect(calls).not.toContain("unread");
    expect(calls).not.toContain(`${folder}/other`);
  });

  test("a directory is a base: its files are one layer, and the config is empty [4.12]", async () => {
    const rootfs = await makeFolder("rootfs");
    await mkdir(join(rootfs, "bin"));
    await runProgram("cp", ["/bin/busybox", join(rootfs, "bin/busybox")]);
    const folder = await context({ Dockerfile: 'FROM base\nRUN ["busybox", "touch", "/made"]\n' });
    await expectCli(["--build-context", `base=${rootfs}`, "-t", "onrootfs:1", folder]);
    expect(await output("onrootfs:1", "busybox", "ls", "/made")).toBe("/made\n");
    const { RootFS, Config } = await workspace.inspect("onrootfs:1");
    expect(RootFS.Layers.length).toBe(2);
    expect(Config["Cmd"] ?? null).toBeNull();
    const file = join(await makeFolder(), "i.tar");
    await expectCli(["save", "-o", file, "onrootfs:1"]);
    await runProgram("skopeo", ["inspect", `docker-archive:${file}`]);
  });

  test("docker-image:// gives another image with its config and its triggers, or nothing [4.10, 4.12]", async () => {
    await expectCli([
      ...["-t", `${workspace.registry.host}/parent:1`, "--push"],
      await context({
        Dockerfile: "FROM BUSYBOX\nENV FROM_PARENT=yes\nONBUILD COPY a /triggered\n",
      }),
    ]);
    const folder = await context({
      Dockerfile: "FROM something:1\nRUN test $FROM_PARENT = yes && test -f /triggered\n",
      a: "a",
    });
    const image = `docker-image://${workspace.registry.host}/parent:1`;
    await expectCli(["--build-context", `something:1=${image}`, "-t", "child:1", folder]);
    expect((await workspace.inspect("child:1")).Config["Env"]).toContain("FROM_PARENT=yes");
    const empty = await context({ Dockerfile: "FROM something:1\nCOPY a /\n", a: "a" });
    const out = await makeFolder("out");
    const scratch = "something:1=docker-image://scratch";
    await expectCli(["--build-context", scratch, "-o", out, empty]);
    expect(await readdir(out)).toEqual(["a"]);
  });

  test("oci-layout:// gives an image of a folder, by tag, digest, or alone [4.10, 4.12]", async () => {
    const layout = join(await makeFolder("layout"), "l");
    const source = `docker://${workspace.busybox}`;
    const copy = async (tag: string): Promise<string> =>
      runProgram("skopeo", [
        "copy",
        "-q",
        "--src-tls-verify=false",
        source,
        `oci:${layout}:${tag}`,
      ]);
    await copy("one");
    const folder = await context({ Dockerfile: "FROM base\nRUN echo hi > /hi\nENV A=b\n" });
    const build = async (value: string): Promise<string | undefined> => {
      const root = await workspace.freshRoot();
      const flags = ["--progress", "rawjson", "--build-context", `base=oci-layout://${value}`];
      const result = await cli([...flags, "-t", "laid:1", folder], { root });
      if (result.code !== 0) return errorCode(result);
      const again = await expectCli([...flags, "-t", "laid:1", folder], { root });
      return Object.entries(outcomesOf(again.stderr)).find(([name]) => name.includes("RUN"))?.[1];
    };
    expect(await build(layout)).toBe("cached");
    expect(await build(`${layout}:one`)).toBe("cached");
    const index = JSON.parse(await readFile(join(layout, "index.json"), "utf8")) as {
      readonly manifests: readonly { readonly digest: string }[];
    };
    expect(await build(`${layout}@${index.manifests[0]?.digest ?? ""}`)).toBe("cached");
    expect(await build(`${layout}:two`)).toBe("IMAGE_NOT_FOUND");
    expect(await build(`${layout}-not`)).toBe("ARCHIVE_NOT_FOUND");
  });

  test("an http URL is one file called context, not unpacked [4.10]", async () => {
    const folder = await context({ Dockerfile: "FROM scratch\nCOPY --from=page / /\n" });
    const tar = await tarOf(folder);
    const server = await startLocalServer((_request, response) => void response.end(tar));
    const out = await makeFolder("out");
    await expectCli(["--build-context", `page=${server.origin}/a.tar`, "-o", out, folder]);
    expect(await readdir(out)).toEqual(["context"]);
    expect((await readFile(join(out, "context"))).equals(tar)).toBe(true);
  });
});

describe("the Dockerfile of a directory", () => {
  test("may lie outside, be a symlink, or have its lower-case name [1.2, 4.15]", async () => {
    const folder = await context({
      a: "a",
      dockerfile: { link: "real" },
      real: "FROM scratch\nCOPY a /l\n",
    });
    const elsewhere = await context({ "My.Dockerfile": "FROM scratch\nCOPY a /e\n" });
    const out = await makeFolder("out");
    await expectCli(["-o", out, folder]);
    await expectCli(["-o", out, "-f", "My.Dockerfile", folder], { cwd: elsewhere });
    expect(await readdir(out)).toEqual(["e", "l"]);
    await writeFile(join(folder, "other"), "");
    expect(errorCode(await cli(["-f", "Other", folder], { cwd: folder }))).toBe(
      "DOCKERFILE_NOT_FOUND",
    );
  });

  test("SOURCE_DATE_EPOCH comes from the environment, and dates what is new [2.21, 3.3]", async () => {
    const folder = await context({
      Dockerfile:
        "FROM BUSYBOX\nARG SOURCE_DATE_EPOCH\nRUN echo $SOURCE_DATE_EPOCH > /epoch\nWORKDIR /made\n",
    });
    const env = { SOURCE_DATE_EPOCH: "1111111111" };
    await expectCli(["-t", "dated:1", folder], { env });
    const told = await output("dated:1", "sh", "-c", "cat /epoch; stat -c %Y /made");
    expect(told).toBe("1111111111\n1111111111\n");
    expect((await workspace.inspect("dated:1")).Created).toMatch(/^2005-03-18T01:58:31/);
    const invalid = await cli(["--build-arg", "SOURCE_DATE_EPOCH=soon", folder]);
    expect(errorCode(invalid)).toBe("PLAN_EPOCH_INVALID");
    expect(invalid.stderr).toContain("invalid SOURCE_DATE_EPOCH");
  });
});
