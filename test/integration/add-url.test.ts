import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { openBuildHarness, type BuildHarness, type Built } from "../support/build-harness.ts";
import { nodesOf, type Nodes } from "../support/copy-harness.ts";
import { FakeSandbox } from "../support/fake-sandbox.ts";
import { startLocalServer, type LocalServer } from "../support/local-server.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { failureOf } from "../support/expect-code.ts";

const modified = "Sun, 09 Sep 2001 01:46:40 GMT";

/** A server of one file whose text can be changed, in the manner of a plain web server. */
async function serveFile(
  options: { readonly etag?: boolean; readonly modified?: boolean; readonly head?: number } = {},
): Promise<LocalServer & { text: string | Buffer }> {
  const server = await startLocalServer((request, response) => {
    const tag = `"${sha256(site.text).slice(0, 8)}"`;
    const headers = {
      ...(options.etag === false ? {} : { etag: tag }),
      ...(options.modified === false ? {} : { "last-modified": modified }),
    };
    const asked = request.headers["if-none-match"]?.split(", ") ?? [];
    if (request.method === "HEAD" && options.head !== undefined) response.writeHead(options.head);
    else if (request.url === "/redirect") response.writeHead(302, { location: "/final-name" });
    else if (request.url?.startsWith("/status/"))
      response.writeHead(Number(request.url.slice(8)), headers);
    else if (options.etag !== false && asked.includes(tag)) response.writeHead(304, { etag: tag });
    else {
      response.writeHead(200, headers);
      if (request.method === "GET") response.write(site.text);
    }
    response.end();
  });
  const site = Object.assign(server, { text: "one" });
  return site;
}

function sha256(text: string | Buffer): string {
  return createHash("sha256").update(text).digest("hex");
}

async function openHarness(
  options: Pick<Parameters<typeof openBuildHarness>[0], "readSecret"> & {
    readonly directory?: string;
  } = {},
): Promise<BuildHarness> {
  const directory = options.directory ?? (await temporaryFolder());
  const harness = await openBuildHarness({ ...options, directory, sandbox: new FakeSandbox() });
  onTestFinished(async () => harness.close());
  return harness;
}

async function nodes(harness: BuildHarness, built: Built): Promise<Nodes> {
  return nodesOf(await harness.environment.snapshots.tree(built.targets[0]?.chainId));
}

describe("a downloaded file", () => {
  test("has mode 0600, is root's, and has the server's time [3.57, 3.67]", async () => {
    const { origin } = await serveFile();
    const harness = await openHarness();
    const built = await harness.build(`FROM scratch\nUSER 5\nADD ${origin}/x.txt /d/\n`);
    expect((await nodes(harness, built))["d/x.txt"]).toBe("file 600 0:0 @1000000000000000000 one");
  });

  test("has the epoch for its time where the server says none [3.67]", async () => {
    const { origin } = await serveFile({ modified: false });
    const harness = await openHarness();
    const built = await harness.build(`FROM scratch\nADD ${origin}/x /x\n`);
    expect((await nodes(harness, built))["x"]).toBe("file 600 0:0 @0 one");
  });

  test("takes --chmod and --chown [3.67]", async () => {
    const { origin } = await serveFile();
    const harness = await openHarness();
    const built = await harness.build(
      `FROM scratch\nADD --chmod=u+x,go+r --chown=7:8 ${origin}/x /x\n`,
    );
    expect((await nodes(harness, built))["x"]).toMatch(/^file 744 7:8 /);
  });

  test.for([
    ["/a/b/name.txt", "name.txt"],
    ["/a/dir/", "dir"],
    ["/a%20b?query=/c#f", "a b"],
    ["/star*%5B?", "star*["],
    ["", "__unnamed__"],
    ["/", "__unnamed__"],
    ["/?file=x", "__unnamed__"],
    ["/redirect", "redirect"],
  ])("from %s is named %s [3.67]", async ([path = "", name = ""]) => {
    const { origin } = await serveFile();
    const harness = await openHarness();
    const built = await harness.build(`FROM scratch\nADD ["${origin}${path}", "/d/"]\n`);
    expect(Object.keys(await nodes(harness, built))).toEqual(["d", `d/${name}`]);
  });

  test.for([404, 410, 500])(
    "that the server answers with %i fails, at its line [3.67]",
    async (status) => {
      const { origin, requests } = await serveFile();
      const harness = await openHarness();
      const error = await failureOf(
        harness.build(`FROM scratch\nADD ${origin}/status/${String(status)} /x\n`),
      );
      expect(error).toMatchObject({
        code: "HTTP_FAILED",
        details: { status },
        location: { line: 2, column: 1 },
      });
      // What a busy server says today it may not say in a second.
      expect(requests).toHaveLength(status === 500 ? 3 : 1);
    },
  );

  test.for([201, 203, 300])("that the server answers with %i is taken [3.67]", async (status) => {
    const { origin } = await serveFile();
    const harness = await openHarness();
    const built = await harness.build(`FROM scratch\nADD ${origin}/status/${String(status)} /x\n`);
    expect((await nodes(harness, built))["x"]).toMatch(/^file 600/);
  });

  test("is tried again when the connection breaks", async () => {
    let tries = 0;
    const { origin } = await startLocalServer((request, response) => {
      tries += 1;
      if (tries === 1) request.socket.destroy();
      else if (tries === 2) {
        response.writeHead(200, { "content-length": "100" });
        response.write("half", () => request.socket.destroy());
      } else response.end("whole");
    });
    const harness = await openHarness();
    const built = await harness.build(`FROM scratch\nADD ${origin}/x /x\n`);
    expect((await nodes(harness, built))["x"]).toMatch(/ whole$/);
    expect(tries).toBe(3);
  });
});

/** What servers send that lie about the length of a file, or do not come to its end. */
const cut = {
  "a body that is shorter than its length": "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
  "no body": "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n",
  "a part that is shorter than it says":
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\nhalf",
  "parts without the last one":
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
  "a part of no length":
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhalf\r\n0\r\n\r\n",
  "two lengths": "HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 2\r\n\r\nhalf",
  "a length that is no number": "HTTP/1.1 200 OK\r\ncontent-length: -4\r\n\r\nhalf",
  "headers without end": "HTTP/1.1 200 OK\r\nx-header: ",
  "something that is not HTTP": "220 ready\r\n",
  nothing: "",
};

test("what is cut, or not as long as it says, is no file, and nothing of it is kept", async () => {
  const work = Object.entries(cut).map(async ([what, answer]) => {
    const { url, tries } = await serveBytes(answer);
    const directory = await temporaryFolder();
    const harness = await openHarness({ directory });
    const files = (): readonly string[] =>
      readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((path) =>
        /blobs\/sha256\/|cache\/http\/|partial/.test(path),
      );
    const before = files();
    const error = await failureOf(harness.build(`FROM scratch\nADD ${url} /x\n`));
    expect(error, what).toMatchObject({ code: "HTTP_FAILED", location: { line: 2, column: 1 } });
    expect(error.message, what).toContain(url);
    expect(tries(), what).toBe(3);
    expect(files(), what).toEqual(before);
  });
  expect(await Promise.allSettled(work)).toEqual(
    work.map(() => ({ status: "fulfilled", value: undefined })),
  );
});

/** A server that answers every request with these bytes and hangs up. */
async function serveBytes(answer: string): Promise<{ url: string; tries: () => number }> {
  let tries = 0;
  const server = createServer((socket) => {
    // Whoever hangs up first.
    socket.on("error", () => undefined);
    socket.once("data", () => {
      tries += 1;
      socket.end(answer);
    });
  }).listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${String(port)}/x`, tries: () => tries };
}

test("what follows a file of the length that was said belongs to nobody", async () => {
  const { url } = await serveBytes(
    "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfileHTTP/1.1 200 OK\r\n\r\nmore",
  );
  const harness = await openHarness();
  const built = await harness.build(`FROM scratch\nADD ${url} /x\n`);
  expect((await nodes(harness, built))["x"]).toMatch(/ file$/);
});

describe("a second build", () => {
  const dockerfile = (origin: string): string => `FROM scratch\nADD ${origin}/x /x\n`;

  test("asks by one HEAD with the saved ETag, and reads nothing [6.14]", async () => {
    const { origin, requests, messages } = await serveFile();
    const harness = await openHarness();
    const first = await harness.build(dockerfile(origin));
    const second = await harness.build(dockerfile(origin));
    expect(requests).toEqual(["GET /x", "HEAD /x"]);
    expect(messages[0]?.headers).not.toHaveProperty("if-none-match");
    expect(messages[1]?.headers["if-none-match"]).toBe(`"${sha256("one").slice(0, 8)}"`);
    expect(harness.steps("step-cached").filter((name) => name.includes("ADD"))).toHaveLength(1);
    expect(second.targets).toEqual(first.targets);
  });

  test("takes an earlier version of the file again, whose ETag it still has [6.14]", async () => {
    const site = await serveFile();
    const harness = await openHarness();
    const first = await harness.build(dockerfile(site.origin));
    site.text = "two";
    const second = await harness.build(dockerfile(site.origin));
    expect(second.targets).not.toEqual(first.targets);
    site.text = "one";
    const third = await harness.build(dockerfile(site.origin));
    expect(third.targets).toEqual(first.targets);
    expect(site.requests).toEqual(["GET /x", "HEAD /x", "GET /x", "HEAD /x"]);
  });

  test("asks by a conditional GET where HEAD is not answered [6.14]", async () => {
    const site = await serveFile({ head: 405 });
    const harness = await openHarness();
    const first = await harness.build(dockerfile(site.origin));
    const second = await harness.build(dockerfile(site.origin));
    expect(site.requests).toEqual(["GET /x", "HEAD /x", "GET /x"]);
    expect(site.messages[2]?.headers["if-none-match"]).toBe(`"${sha256("one").slice(0, 8)}"`);
    expect(second.targets).toEqual(first.targets);
  });

  test("reads a file without ETag again, and runs nothing when it is the same [6.14]", async () => {
    const site = await serveFile({ etag: false });
    const harness = await openHarness();
    const first = await harness.build(dockerfile(site.origin));
    const second = await harness.build(dockerfile(site.origin));
    expect(site.requests).toEqual(["GET /x", "GET /x"]);
    expect(second.written).toEqual([]);
    expect(second.targets).toEqual(first.targets);
  });

  test("counts the server's time as part of the file [6.14]", async () => {
    let time = modified;
    const { origin } = await startLocalServer((_request, response) => {
      response.writeHead(200, { "last-modified": time }).end("same");
    });
    const harness = await openHarness();
    const first = await harness.build(dockerfile(origin));
    time = "Sun, 09 Sep 2001 01:46:41 GMT";
    const second = await harness.build(dockerfile(origin));
    expect(second.targets).not.toEqual(first.targets);
    expect((await nodes(harness, second))["x"]).toBe("file 600 0:0 @1000000001000000000 same");
  });
});

describe("--checksum", () => {
  const dockerfile = (url: string, hex: string): string =>
    `FROM scratch\nADD --checksum=sha256:${hex} ${url} /x\n`;

  test("of a file that is known needs no request, wherever it comes from [6.14, 3.68]", async () => {
    const { origin, requests } = await serveFile();
    const harness = await openHarness();
    const first = await harness.build(dockerfile(`${origin}/x`, sha256("one")));
    expect(requests).toEqual(["GET /x"]);
    const second = await harness.build(dockerfile(`${origin}/x`, sha256("one")));
    const moved = await harness.build(dockerfile(`${origin}/mirror/x`, sha256("one")));
    expect(requests).toEqual(["GET /x"]);
    expect([second.targets, moved.targets]).toEqual([first.targets, first.targets]);
  });

  test("that the file does not have fails, at its line, and keeps nothing [3.68]", async () => {
    const { origin } = await serveFile();
    const harness = await openHarness();
    for (let time = 0; time < 2; time++) {
      const error = await failureOf(harness.build(dockerfile(`${origin}/x`, "0".repeat(64))));
      expect(error.message).toContain("digest mismatch");
      expect(error).toMatchObject({ code: "DIGEST_MISMATCH", location: { line: 2, column: 1 } });
    }
  });

  test("catches a file that changed behind it, also when the server calls it unchanged [3.68]", async () => {
    const { origin } = await serveFile();
    const harness = await openHarness();
    await harness.build(`FROM scratch\nADD ${origin}/x /x\n`);
    const error = await failureOf(harness.build(dockerfile(`${origin}/x`, sha256("two"))));
    expect(error.code).toBe("DIGEST_MISMATCH");
  });
});

test("--checksum gets the file that it promises, also when the server takes the former one for it [3.68]", async () => {
  const site = { text: "one" };
  const { origin } = await startLocalServer((request, response) => {
    const isKnown = request.headers["if-none-match"] !== undefined;
    response.writeHead(isKnown ? 304 : 200, { etag: '"always"' }).end(isKnown ? "" : site.text);
  });
  const harness = await openHarness();
  await harness.build(`FROM scratch\nADD ${origin}/x /x\n`);
  site.text = "two";
  const built = await harness.build(
    `FROM scratch\nADD --checksum=sha256:${sha256("two")} ${origin}/x /x\n`,
  );
  expect((await nodes(harness, built))["x"]).toBe("file 600 0:0 @0 two");
});

describe("archives behind URLs", () => {
  async function serveArchive(): Promise<LocalServer> {
    const folder = await temporaryFolder();
    mkdirSync(join(folder, "in"));
    writeFileSync(join(folder, "in/file"), "packed");
    const tar = execFileSync("tar", ["-czf", "-", "-C", folder, "in"]);
    const site = await serveFile();
    site.text = tar;
    return site;
  }

  test("stay files unless --unpack says otherwise [3.65]", async () => {
    const { origin } = await serveArchive();
    const harness = await openHarness();
    const built = await harness.build(
      [
        "FROM scratch",
        `ADD ${origin}/a.tgz /file/`,
        `ADD --unpack=true ${origin}/a.tgz /unpacked`,
        `ADD --unpack=false ${origin}/a.tgz /not/`,
      ].join("\n"),
    );
    expect(Object.keys(await nodes(harness, built)).sort()).toEqual([
      "file",
      "file/a.tgz",
      "not",
      "not/a.tgz",
      "unpacked",
      "unpacked/in",
      "unpacked/in/file",
    ]);
  });
});

describe("secrets for a host", () => {
  async function serveSecret(): Promise<LocalServer> {
    return startLocalServer((request: IncomingMessage, response: ServerResponse) => {
      const isKnown = ["Bearer t0ken", "Custom me:too"].includes(
        request.headers.authorization ?? "",
      );
      response.writeHead(isKnown ? 200 : 401).end(isKnown ? "secret" : "");
    });
  }

  test.for([
    ["HTTP_AUTH_TOKEN_", "t0ken\n"],
    ["HTTP_AUTH_HEADER_", "Custom me:too"],
  ])("%s<host> goes to that host alone [3.71]", async ([prefix = "", value = ""]) => {
    const server = await serveSecret();
    const other = await startLocalServer((_request, response) => {
      response.writeHead(302, { location: `${server.origin}/x` }).end();
    });
    const host = new URL(server.origin).hostname;
    const harness = await openHarness({
      readSecret: async (id) => (id === `${prefix}${host}` ? Buffer.from(value) : undefined),
    });
    const built = await harness.build(`FROM scratch\nADD ${server.origin}/x /x\n`);
    expect((await nodes(harness, built))["x"]).toMatch(/ secret$/);
    const elsewhere = other.origin.replace("127.0.0.1", "localhost");
    const error = await failureOf(harness.build(`FROM scratch\nADD ${elsewhere}/x /x\n`));
    expect(error).toMatchObject({ code: "HTTP_FAILED", details: { status: 401 } });
    expect(error.hint).toContain("HTTP_AUTH_TOKEN_localhost");
    expect(other.messages[0]?.headers).not.toHaveProperty("authorization");
  });

  test("do not follow a redirect to another host [3.71]", async () => {
    const target = await startLocalServer((_request, response) => {
      response.end("public");
    });
    const server = await startLocalServer((_request, response) => {
      response.writeHead(302, { location: `${target.origin}/x` }).end();
    });
    const harness = await openHarness({ readSecret: async () => Buffer.from("t0ken") });
    await harness.build(`FROM scratch\nADD ${server.origin}/x /x\n`);
    expect(server.messages[0]?.headers.authorization).toBe("Bearer t0ken");
    expect(target.messages[0]?.headers).not.toHaveProperty("authorization");
  });
});

test("two processes at once get the same file, and leave a record that both can use", async () => {
  const site = await serveFile();
  const directory = await temporaryFolder();
  const one = await openHarness({ directory });
  const other = await openHarness({ directory });
  const dockerfile = `FROM scratch\nADD ${site.origin}/x /x\n`;
  const [first, second] = await Promise.all([one.build(dockerfile), other.build(dockerfile)]);
  expect(first.targets[0]?.diffIds).toEqual(second.targets[0]?.diffIds);
  site.requests.length = 0;
  await one.build(dockerfile);
  await other.build(dockerfile);
  expect(site.requests).toEqual(["HEAD /x", "HEAD /x"]);
});
