import { createHash } from "node:crypto";
import { once } from "node:events";
import { access, readFile } from "node:fs/promises";
import { createServer, type RequestListener, type Server } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { outcomesOf } from "../support/setup-progress.ts";
import { makeFolder } from "../support/setup-context.ts";
import { errorCode, runProgram, useWorkspace } from "../support/setup-workspace.ts";

const { cli, context, expectCli, output } = useWorkspace({ programs: ["xz", "bzip2", "zstd"] });

describe("local archives", () => {
  test.for(["--format=gnu", "--gzip"])(
    "ADD unpacks what tar %s wrote, known by its content, and COPY does not [3.65]",
    async (flag) => {
      const folder = await contextWithArchive(flag);
      await expectCli(["-t", "archive:1", folder]);
      const script =
        "cat /added/in/deep/file; stat -c ' %u:%g %a %Y' /added/in/tool; test -f /copied && echo file";
      expect(await output("archive:1", "sh", "-c", script)).toBe("packed 12:34 751 1000\nfile\n");
    },
  );

  test.for(["--bzip2", "--xz", "--zstd"])(
    "an archive by tar %s is unpacked or refused by name, never copied in silence [3.65]",
    async (flag) => {
      const result = await cli(["-t", "archive:2", await contextWithArchive(flag)]);
      if (result.code === 0) {
        expect(await output("archive:2", "cat", "/added/in/deep/file")).toBe("packed");
        return;
      }
      expect(errorCode(result)).toBe("LAYER_COMPRESSION_UNSUPPORTED");
      expect(result.stderr).toContain(flag.slice(2));
      expect(result.stderr).toMatch(/>>>.*ADD no-suffix/);
    },
  );

  async function contextWithArchive(flag: string): Promise<string> {
    const source = await context({
      "in/deep/file": "packed",
      "in/tool": { mode: 0o751, content: "t" },
    });
    const archive = join(await makeFolder(), "archive");
    const owner = ["--owner=12", "--group=34", "--mtime=@1000"];
    await runProgram("tar", [flag, ...owner, "-cf", archive, "-C", source, "in"]);
    return context({
      "no-suffix": await readFile(archive),
      Dockerfile: "FROM BUSYBOX\nADD no-suffix /added\nCOPY no-suffix /copied\n",
    });
  }

  test("a hostile archive cannot leave the root [3.66]", async () => {
    const made = await context({ payload: "owned", "links/escape": { link: "/etc" } });
    const archive = join(made, "evil.tar");
    const append = async (...args: string[]): Promise<string> =>
      runProgram("tar", ["-rPf", archive, "-C", made, ...args]);
    await runProgram("tar", ["-cf", archive, "-C", join(made, "links"), "escape"]);
    await append("--transform", "s,^payload,escape/tsbuild-was-here,", "payload");
    await append("--transform", "s,^payload,../../../tsbuild-was-here,", "payload");
    const folder = await context({
      "evil.tar": await readFile(archive),
      Dockerfile: "FROM BUSYBOX\nADD evil.tar /d\n",
    });
    await cli(["-t", "evil:1", folder]);
    for (const path of ["/etc/tsbuild-was-here", "/tsbuild-was-here", "/tmp/tsbuild-was-here"]) {
      await expect(access(path)).rejects.toThrow("ENOENT");
    }
  });
});

describe("URLs", () => {
  let server: Server;
  let origin: string;
  const requests: string[] = [];
  let body = "from the web";
  const answer: RequestListener = (request, response) => {
    requests.push(`${request.method ?? ""} ${request.url ?? ""}`);
    const etag = `"${createHash("sha256").update(body).digest("hex")}"`;
    if (request.url === "/missing") response.writeHead(404).end();
    else if (request.url === "/moved") response.writeHead(302, { location: "/file.txt" }).end();
    else if (request.headers["if-none-match"] === etag) response.writeHead(304, { etag }).end();
    else {
      const modified = new Date(1_000_000_000_000).toUTCString();
      response.writeHead(200, { etag, "last-modified": modified });
      response.end(request.method === "HEAD" ? undefined : body);
    }
  };

  beforeAll(async () => {
    server = createServer(answer).listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    origin = `http://127.0.0.1:${String(address.port)}`;
  });
  afterAll(() => {
    server.close();
    server.closeAllConnections();
  });

  test("a file arrives with mode 600, the server's time and the URL's name [3.67]", async () => {
    const folder = await context({
      Dockerfile: `FROM BUSYBOX\nADD ${origin}/file.txt /d/\nADD --chmod=644 --chown=5:6 ${origin}/moved /m\n`,
    });
    await expectCli(["-t", "url:1", folder]);
    const told = await output(
      "url:1",
      "sh",
      "-c",
      "cat /d/file.txt; stat -c ' %u:%g %a %Y' /d/file.txt; cat /m; stat -c ' %u:%g %a' /m",
    );
    expect(told).toBe("from the web 0:0 600 1000000000\nfrom the web 5:6 644\n");
  });

  test("is asked again each build, and reruns only when the bytes have changed [6.14]", async () => {
    const folder = await context({ Dockerfile: `FROM BUSYBOX\nADD ${origin}/file.txt /f\n` });
    const args = ["--progress", "rawjson", "-t", "url:2", folder];
    const outcome = async (): Promise<string | undefined> =>
      Object.values(outcomesOf((await expectCli(args)).stderr)).at(-1);
    await outcome();
    requests.length = 0;
    expect(await outcome()).toBe("cached");
    expect(requests.length).toBeGreaterThan(0);
    body = "from the web, later";
    expect(await outcome()).toBe("done");
    expect(await output("url:2", "cat", "/f")).toBe("from the web, later");
  });

  test("--checksum holds the bytes to their promise [3.68]", async () => {
    const good = createHash("sha256").update(body).digest("hex");
    const dockerfile = (hex: string): string =>
      `FROM BUSYBOX\nADD --checksum=sha256:${hex} ${origin}/file.txt /f\n`;
    await expectCli(["-t", "url:3", await context({ Dockerfile: dockerfile(good) })]);
    const wrong = await context({ Dockerfile: dockerfile("0".repeat(64)) });
    const result = await cli(["-t", "url:3", wrong]);
    expect(result.code).toBe(1);
    expect(errorCode(result)).toBe("DIGEST_MISMATCH");
    expect(result.stderr).toContain(">>>");
  });

  test("a missing page fails the build and is located [3.67]", async () => {
    const folder = await context({ Dockerfile: `FROM BUSYBOX\nADD ${origin}/missing /f\n` });
    const result = await cli(["-t", "url:4", folder]);
    expect(result.code).toBe(1);
    expect(errorCode(result)).toBe("HTTP_FAILED");
    expect(result.stderr).toMatch(/>>>.*ADD/);
    expect(result.stderr).toContain("404");
  });
});
