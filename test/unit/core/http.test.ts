import { gzipSync } from "node:zlib";
import { text } from "node:stream/consumers";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  displayUrl,
  downloadUrl,
  openHttpClient,
  requestFollowing,
  type HttpClient,
  type HttpClientOptions,
} from "../../../src/core/index.ts";
import { proxyFor } from "../../../src/core/http/proxy.ts";
import { startLocalServer } from "../../support/local-server.ts";
import { failureOf } from "../../support/expect-code.ts";

describe("proxies", () => {
  const env = {
    HTTP_PROXY: "http://plain:1",
    HTTPS_PROXY: "secure:2",
    NO_PROXY: "internal.io,.sub.io, port.io:8080,10.0.0.0/8,192.168.1.1,fd00::/8",
  };
  test.each([
    ["http://example.io/", "http://plain:1"],
    ["https://example.io/", "http://secure:2"],
    ["https://internal.io/", undefined],
    ["https://a.internal.io/", undefined],
    ["https://notinternal.io/", "http://secure:2"],
    ["https://sub.io/", "http://secure:2"],
    ["https://a.sub.io/", undefined],
    ["http://port.io:8080/", undefined],
    ["http://port.io/", "http://plain:1"],
    ["http://10.1.2.3/", undefined],
    ["http://11.1.2.3/", "http://plain:1"],
    ["http://192.168.1.1:99/", undefined],
    ["http://[fd12::1]/", undefined],
    ["http://127.0.0.1:5000/", undefined],
    ["http://localhost/", undefined],
    ["http://a.localhost/", undefined],
    ["http://[::1]:5000/", undefined],
  ])("%s [R2.20]", (url, expected) => {
    expect(proxyFor(new URL(url), env)).toBe(expected);
  });

  test("lower-case names win, and a star excepts everything [R2.20]", () => {
    const url = new URL("http://example.io");
    expect(proxyFor(url, { ...env, http_proxy: "http://lower:3" })).toBe("http://lower:3");
    expect(proxyFor(url, { ...env, no_proxy: "*" })).toBeUndefined();
    expect(proxyFor(url, {})).toBeUndefined();
  });

  test("HTTP_PROXY is not believed in a CGI program", () => {
    expect(proxyFor(new URL("http://a.io"), { ...env, REQUEST_METHOD: "GET" })).toBeUndefined();
  });

  test("a request goes through the proxy that the environment names", async () => {
    const proxy = await startLocalServer((_request, response) => void response.end("proxied"));
    const client = open({ env: { HTTP_PROXY: proxy.origin } });
    const url = new URL("http://nowhere.invalid/x");
    const response = await client.request({ method: "GET", url });
    expect(await text(response.body)).toBe("proxied");
  });
});

describe("failures", () => {
  test("a closed port is told at once, and is final", async () => {
    const server = await startLocalServer(() => undefined);
    await server.close();
    const failed = open().request({ method: "GET", url: new URL(server.origin) });
    expect(await failureOf(failed)).toMatchObject({
      code: "HTTP_FAILED",
      details: { reason: "ECONNREFUSED", isRetryable: false },
    });
  });

  test("silence is a timeout", async () => {
    const server = await startLocalServer(() => undefined);
    const failed = open({ idleTimeout: 30 }).request({
      method: "GET",
      url: new URL(server.origin),
    });
    expect(await failureOf(failed)).toMatchObject({ code: "HTTP_TIMEOUT" });
  });

  test("an answer that breaks off is told while it is read", async () => {
    const server = await startLocalServer((_request, response) => {
      response.writeHead(200, { "content-length": "10" });
      response.write("12345", () => response.destroy());
    });
    const response = await open().request({ method: "GET", url: new URL(server.origin) });
    expect(await failureOf(text(response.body))).toMatchObject({
      code: "HTTP_FAILED",
      details: { isRetryable: true },
    });
  });

  test("an abort is CANCELED, before the answer and inside it", async () => {
    const server = await startLocalServer((request, response) => {
      if (request.url === "/body") response.write("x");
    });
    const before = new AbortController();
    const early = open().request({
      method: "GET",
      url: new URL(server.origin),
      signal: before.signal,
    });
    setTimeout(() => before.abort(), 10);
    expect(await failureOf(early)).toMatchObject({ code: "CANCELED" });
    const inside = new AbortController();
    const url = new URL("/body", server.origin);
    const response = await open().request({ method: "GET", url, signal: inside.signal });
    setTimeout(() => inside.abort(), 10);
    expect(await failureOf(text(response.body))).toMatchObject({ code: "CANCELED" });
  });

  test("credentials and queries are never shown", () => {
    expect(displayUrl("https://me:secret@host:1/path?signature=secret#x")).toBe(
      "https://host:1/path",
    );
  });
});

describe("redirects", () => {
  test("are followed, and authorization stays with the first origin", async () => {
    const other = await startLocalServer((_request, response) => void response.end("there"));
    const server = await startLocalServer((request, response) => {
      const location = request.url === "/1" ? "/2" : `${other.origin}/3?signed`;
      response.writeHead(request.url === "/1" ? 307 : 302, { location }).end();
    });
    const response = await requestFollowing({
      client: open(),
      request: {
        method: "GET",
        url: new URL("/1", server.origin),
        headers: { authorization: "Bearer x", accept: "a/b" },
      },
    });
    expect(await text(response.body)).toBe("there");
    expect(server.messages.map(({ headers }) => headers.authorization)).toEqual([
      "Bearer x",
      "Bearer x",
    ]);
    expect(other.messages[0]?.headers).toMatchObject({ accept: "a/b" });
    expect(other.messages[0]?.headers.authorization).toBeUndefined();
  });

  test("come to an end", async () => {
    const server = await startLocalServer((_request, response) => {
      response.writeHead(302, { location: "/" }).end();
    });
    const request = { method: "GET", url: new URL(server.origin) };
    const failed = requestFollowing({ client: open(), request });
    expect(await failureOf(failed)).toMatchObject({ details: { reason: "REDIRECTS" } });
    expect(server.requests.length).toBe(11);
  });

  test("to something else than http are refused", async () => {
    const server = await startLocalServer((_request, response) => {
      response.writeHead(302, { location: "file:///etc/passwd" }).end();
    });
    const request = { method: "GET", url: new URL(server.origin) };
    expect(await failureOf(requestFollowing({ client: open(), request }))).toMatchObject({
      details: { reason: "REDIRECT" },
    });
  });
});

describe("downloads", () => {
  test("tell what the server says of the file", async () => {
    const server = await startLocalServer((_request, response) => {
      response.writeHead(200, {
        "content-length": "4",
        etag: '"abc"',
        "last-modified": "Tue, 02 Jan 2024 03:04:05 GMT",
        "content-disposition": 'attachment; filename="../a \\"b\\".tar"',
      });
      response.end("file");
    });
    const download = await downloadUrl({ url: `${server.origin}/x` });
    expect(download).toMatchObject({
      size: 4,
      etag: '"abc"',
      lastModified: new Date("2024-01-02T03:04:05Z"),
      fileName: 'a "b".tar',
    });
    expect(await text(download.content)).toBe("file");
    expect(server.messages[0]?.headers["accept-encoding"]).toBe("identity");
  });

  test("content that the server compresses unasked is the file inside", async () => {
    const packed = gzipSync("file");
    const server = await startLocalServer((request, response) => {
      response.writeHead(200, { "content-encoding": "gzip", "content-length": packed.length });
      response.end(request.url === "/broken" ? Buffer.alloc(packed.length, "x") : packed);
    });
    const download = await downloadUrl({ url: `${server.origin}/x` });
    expect(download.size).toBeUndefined();
    expect(await text(download.content)).toBe("file");
    const head = await downloadUrl({ url: `${server.origin}/x`, method: "HEAD" });
    expect(await text(head.content)).toBe("");
    const broken = await downloadUrl({ url: `${server.origin}/broken` });
    expect(await failureOf(text(broken.content))).toMatchObject({ code: "HTTP_FAILED" });
  });

  test("a status from 400 is a failure", async () => {
    const server = await startLocalServer((_request, response) => {
      response.writeHead(404).end("no");
    });
    expect(await failureOf(downloadUrl({ url: server.origin }))).toMatchObject({
      code: "HTTP_FAILED",
      details: { status: 404, isRetryable: false },
    });
  });

  test("credentials in the URL become a header", async () => {
    const server = await startLocalServer((_request, response) => void response.end("x"));
    const download = await downloadUrl({ url: server.origin.replace("//", "//me:p%40ss@") });
    await text(download.content);
    expect(server.messages[0]?.headers.authorization).toBe(
      `Basic ${Buffer.from("me:p@ss").toString("base64")}`,
    );
  });
});

function open(options: HttpClientOptions = {}): HttpClient {
  const client = openHttpClient({ env: {}, ...options });
  onTestFinished(() => client.close());
  return client;
}
