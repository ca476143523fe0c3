import { createHash } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { onTestFinished } from "vitest";
import { openLocalServer, type LocalServer } from "./local-server.ts";

/** What the fake registry does other than a plain one. */
export interface FakeRegistryOptions {
  readonly login?:
    | { readonly scheme: "basic"; readonly username: string; readonly password: string }
    | {
        readonly scheme: "bearer";
        /** Without them, everybody gets a token. */
        readonly username?: string;
        readonly password?: string;
        /** Identity token that the token server trades; the password is not asked for then. */
        readonly identityToken?: string;
        /** A token opens so many requests. */
        readonly tokenUses?: number;
      };
  readonly uploadLocation?: "absolute" | "relative" | "query";
  /** Blobs are served from another origin, with a signature in the query. */
  readonly redirectBlobs?: boolean;
  /** Ranges are not known: every answer begins at 0. */
  readonly ignoreRanges?: boolean;
  readonly withoutDigestHeader?: boolean;
  /** Request bodies of more bytes are refused with 413. */
  readonly maxBody?: number;
  /** Keeps lists of referrers itself, and says so. */
  readonly referrers?: boolean;
  /** Removes tags and manifests. */
  readonly deletes?: boolean;
}

/** A fault that some requests meet, instead of or before their answer. */
export interface Fault {
  readonly method: string;
  readonly path: RegExp;
  /** How many requests meet it; 1 by default. */
  readonly times?: number;
  readonly act:
    | {
        readonly type: "status";
        readonly status: number;
        readonly headers?: Record<string, string>;
        readonly body?: string;
      }
    /** The connection is cut before the answer. */
    | { readonly type: "cut" }
    /** The answer is cut after so many bytes of its body. */
    | { readonly type: "truncate"; readonly after: number }
    /** The upload's body is cut off after its first bytes. */
    | { readonly type: "cut-upload" }
    /** Headers are changed on their way out; empty ones are left out. */
    | { readonly type: "headers"; readonly headers: Record<string, string> }
    /** Other bytes of the same length are served. */
    | { readonly type: "damage" };
}

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
}

interface Repository {
  readonly blobs: Map<string, Buffer>;
  readonly manifests: Map<string, { readonly type: string; readonly bytes: Buffer }>;
  readonly tags: Map<string, string>;
}

/** A registry in this process, on a free port of 127.0.0.1, that goes away with the test. */
export async function startFakeRegistry(options: FakeRegistryOptions = {}): Promise<FakeRegistry> {
  const registry = await openFakeRegistry(options);
  onTestFinished(() => registry.close());
  return registry;
}

/** The same without a test around it: whoever opens it closes it. */
export async function openFakeRegistry(options: FakeRegistryOptions = {}): Promise<FakeRegistry> {
  const registry = new FakeRegistry(options);
  await registry.listen();
  return registry;
}

export class FakeRegistry {
  /** `127.0.0.1:PORT`. */
  host = "";
  readonly requests: SeenRequest[] = [];
  readonly repositories = new Map<string, Repository>();
  readonly #options: FakeRegistryOptions;
  readonly #faults: { readonly fault: Fault; left: number }[] = [];
  readonly #sessions = new Map<string, { readonly name: string; bytes: Buffer }>();
  readonly #tokens = new Map<string, { readonly scopes: readonly string[]; uses: number }>();
  readonly #servers: LocalServer[] = [];
  #storageOrigin = "";
  #counter = 0;

  constructor(options: FakeRegistryOptions) {
    this.#options = options;
  }

  async listen(): Promise<void> {
    const main = await openLocalServer((request, response) => {
      this.#handle(request, response).catch(() => response.destroy());
    });
    const storage = await openLocalServer((request, response) => {
      this.#record(request);
      const [, repository = "", digest = ""] =
        /^\/(.*)\/(sha\d+:[0-9a-f]+)\?/.exec(request.url ?? "") ?? [];
      if (!(request.url ?? "").includes("?signature=valid")) response.writeHead(403).end();
      else this.#sendBlob(request, response, this.repository(repository).blobs.get(digest));
    });
    this.#servers.push(main, storage);
    this.host = new URL(main.origin).host;
    this.#storageOrigin = storage.origin;
  }

  async close(): Promise<void> {
    for (const server of this.#servers) await server.close();
  }

  repository(name: string): Repository {
    const known = this.repositories.get(name);
    if (known !== undefined) return known;
    const made = { blobs: new Map(), manifests: new Map(), tags: new Map() };
    this.repositories.set(name, made);
    return made;
  }

  addFault(fault: Fault): void {
    this.#faults.push({ fault, left: fault.times ?? 1 });
  }

  /** `METHOD /path` of what was asked, without the look for the registry itself. */
  log(): readonly string[] {
    return this.requests
      .filter(({ url }) => url !== "/v2/")
      .map(({ method, url }) => `${method} ${url}`);
  }

  #record(request: IncomingMessage): void {
    const { method = "", url = "", headers } = request;
    this.requests.push({ method, url, headers });
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#record(request);
    const url = new URL(request.url ?? "/", `http://${this.host}`);
    const fault = this.#faultFor(request, url);
    switch (fault?.type) {
      case "status":
        request.resume();
        response.writeHead(fault.status, fault.headers).end(fault.body);
        return;
      case "cut":
        request.socket.destroy();
        return;
      case "cut-upload":
        await once(request, "data");
        request.socket.destroy();
        return;
      case "truncate":
        truncate(response, fault.after);
        break;
      case "headers":
        changeHeaders(response, fault.headers);
        break;
      case "damage":
        damage(response);
        break;
      case undefined:
        break;
    }
    if (url.pathname === "/token") return this.#giveToken(request, response, url);
    if (!this.#isAllowed(request, response, url)) return;
    if (url.pathname === "/v2/") return void response.writeHead(200).end("{}");
    await this.#route(request, response, url);
  }

  #faultFor(request: IncomingMessage, url: URL): Fault["act"] | undefined {
    const found = this.#faults.find(
      ({ fault, left }) =>
        left > 0 && fault.method === request.method && fault.path.test(url.pathname),
    );
    if (found === undefined) return undefined;
    found.left -= 1;
    return found.fault.act;
  }

  async #route(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const match = /^\/v2\/(.+?)\/(manifests|blobs|tags|referrers)\/(.*)$/.exec(url.pathname);
    if (match === null) return void response.writeHead(404).end();
    const [, name = "", kind = "", rest = ""] = match;
    if (kind === "tags") return this.#listTags(response, name, url);
    if (kind === "referrers") return this.#listReferrers(response, name, rest);
    if (kind === "manifests") return this.#manifests(request, response, { name, label: rest });
    if (rest.startsWith("uploads/")) return this.#uploads(request, response, { name, url });
    const bytes = this.repository(name).blobs.get(rest);
    if (bytes === undefined) return sendError(response, 404, "BLOB_UNKNOWN");
    if (this.#options.redirectBlobs === true && request.method === "GET") {
      const location = `${this.#storageOrigin}/${name}/${rest}?signature=valid`;
      return void response.writeHead(307, { location }).end();
    }
    this.#sendBlob(request, response, bytes);
  }

  #sendBlob(request: IncomingMessage, response: ServerResponse, bytes: Buffer | undefined): void {
    if (bytes === undefined) return sendError(response, 404, "BLOB_UNKNOWN");
    const wanted = /^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1];
    const isRange = wanted !== undefined && this.#options.ignoreRanges !== true;
    const start = isRange ? Number(wanted) : 0;
    response.writeHead(isRange ? 206 : 200, {
      "content-type": "application/octet-stream",
      "content-length": String(bytes.length - start),
      ...(isRange
        ? { "content-range": `bytes ${wanted}-${String(bytes.length - 1)}/${String(bytes.length)}` }
        : {}),
    });
    response.end(request.method === "HEAD" ? undefined : bytes.subarray(start));
  }

  async #manifests(
    request: IncomingMessage,
    response: ServerResponse,
    { name, label }: { name: string; label: string },
  ): Promise<void> {
    const { manifests, tags } = this.repository(name);
    if (request.method === "DELETE") {
      if (this.#options.deletes !== true) return void response.writeHead(405).end();
      const isThere = label.includes(":") ? manifests.delete(label) : tags.delete(label);
      return void response.writeHead(isThere ? 202 : 404).end();
    }
    if (request.method === "PUT") {
      const bytes = await buffer(request);
      const digest = digestText(bytes);
      manifests.set(digest, { type: request.headers["content-type"] ?? "", bytes });
      if (label.includes(":")) {
        if (label !== digest) return sendError(response, 400, "DIGEST_INVALID");
      } else tags.set(label, digest);
      const subject = this.#options.referrers === true ? subjectOf(bytes) : undefined;
      response.writeHead(201, {
        "docker-content-digest": digest,
        ...(subject === undefined ? {} : { "oci-subject": subject }),
      });
      return void response.end();
    }
    const digest = tags.get(label) ?? label;
    const found = manifests.get(digest);
    if (found === undefined) return sendError(response, 404, "MANIFEST_UNKNOWN");
    response.writeHead(200, {
      "content-type": found.type,
      "content-length": String(found.bytes.length),
      ...(this.#options.withoutDigestHeader === true ? {} : { "docker-content-digest": digest }),
    });
    response.end(request.method === "HEAD" ? undefined : found.bytes);
  }

  async #uploads(
    request: IncomingMessage,
    response: ServerResponse,
    { name, url }: { name: string; url: URL },
  ): Promise<void> {
    const { blobs } = this.repository(name);
    if (request.method === "POST") {
      const mount = url.searchParams.get("mount");
      const from = url.searchParams.get("from");
      const mounted = mount && from ? this.repository(from).blobs.get(mount) : undefined;
      if (mounted !== undefined) {
        blobs.set(mount ?? "", mounted);
        return void response.writeHead(201, { location: `/v2/${name}/blobs/${mount ?? ""}` }).end();
      }
      const id = String(++this.#counter);
      this.#sessions.set(id, { name, bytes: Buffer.alloc(0) });
      return void response.writeHead(202, { location: this.#location(name, id) }).end();
    }
    const id = url.searchParams.get("session") ?? url.pathname.split("/").at(-1) ?? "";
    const session = this.#sessions.get(id);
    if (session?.name !== name) return sendError(response, 404, "BLOB_UPLOAD_UNKNOWN");
    if (request.method === "DELETE") {
      this.#sessions.delete(id);
      return void response.writeHead(204).end();
    }
    const length = session.bytes.length;
    const state = {
      location: this.#location(name, id),
      range: `0-${String(Math.max(length - 1, 0))}`,
    };
    if (request.method === "GET") return void response.writeHead(204, state).end();
    const chunk = await buffer(request);
    if (chunk.length > (this.#options.maxBody ?? Infinity)) {
      return void response.writeHead(413).end();
    }
    const start = /^(\d+)-/.exec(request.headers["content-range"] ?? "")?.[1];
    if (start !== undefined && Number(start) !== length) {
      return void response.writeHead(416, state).end();
    }
    session.bytes = Buffer.concat([session.bytes, chunk]);
    if (request.method === "PATCH") {
      const range = `0-${String(session.bytes.length - 1)}`;
      return void response.writeHead(202, { ...state, range }).end();
    }
    const bytes = session.bytes;
    const digest = url.searchParams.get("digest") ?? "";
    if (digestText(bytes, digest.split(":")[0]) !== digest) {
      return sendError(response, 400, "DIGEST_INVALID");
    }
    this.#sessions.delete(id);
    blobs.set(digest, bytes);
    response.writeHead(201, { location: `/v2/${name}/blobs/${digest}` }).end();
  }

  #listReferrers(response: ServerResponse, name: string, subject: string): void {
    if (this.#options.referrers !== true) return void response.writeHead(404).end();
    const { manifests } = this.repository(name);
    const found = [...manifests]
      .filter(([, { bytes }]) => subjectOf(bytes) === subject)
      .map(([digest, { type, bytes }]) => ({
        mediaType: type,
        digest,
        size: bytes.length,
        artifactType: (JSON.parse(bytes.toString()) as { artifactType?: string }).artifactType,
      }));
    const mediaType = "application/vnd.oci.image.index.v1+json";
    response.writeHead(200, { "content-type": mediaType });
    response.end(JSON.stringify({ schemaVersion: 2, mediaType, manifests: found }));
  }

  /** Uploads that were opened and neither finished nor canceled. */
  get openUploads(): number {
    return this.#sessions.size;
  }

  #location(name: string, id: string): string {
    switch (this.#options.uploadLocation) {
      case "absolute":
        return `http://${this.host}/v2/${name}/blobs/uploads/${id}`;
      case "query":
        return `/v2/${name}/blobs/uploads/?session=${id}&opaque=a%2Fb+c%3D%3d`;
      default:
        return `/v2/${name}/blobs/uploads/${id}`;
    }
  }

  #listTags(response: ServerResponse, name: string, url: URL): void {
    const page = 2;
    const tags = [...this.repository(name).tags.keys()].sort();
    const last = url.searchParams.get("last");
    const start = last === null ? 0 : tags.indexOf(last) + 1;
    const shown = tags.slice(start, start + page);
    const isMore = start + page < tags.length;
    const link = `</v2/${name}/tags/list?last=${shown.at(-1) ?? ""}>; rel="next"`;
    response.writeHead(200, isMore ? { link } : {}).end(JSON.stringify({ name, tags: shown }));
  }

  #isAllowed(request: IncomingMessage, response: ServerResponse, url: URL): boolean {
    const { login } = this.#options;
    if (login === undefined) return true;
    const sent = request.headers.authorization;
    if (login.scheme === "basic") {
      if (sent === basic(login.username, login.password)) return true;
      return refuse(request, response, 'Basic realm="fake"');
    }
    const name = /^\/v2\/(.+?)\/(?:manifests|blobs|tags|referrers)\//.exec(url.pathname)?.[1];
    const access = ["GET", "HEAD"].includes(request.method ?? "") ? "pull" : "pull,push";
    const token = this.#tokens.get(sent?.replace("Bearer ", "") ?? "");
    const scope = name === undefined ? undefined : `repository:${name}:${access}`;
    const isEnough =
      name === undefined || token?.scopes.some((given) => covers(given, name, access)) === true;
    if (token !== undefined && isEnough && token.uses-- > 0) return true;
    const demanded = scope === undefined ? "" : `,scope="${scope}"`;
    return refuse(
      request,
      response,
      `Negotiate, Bearer realm="http://${this.host}/token",service="fake, inc"${demanded}`,
    );
  }

  async #giveToken(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const { login } = this.#options;
    if (login?.scheme !== "bearer") return void response.writeHead(404).end();
    const form = new URLSearchParams((await buffer(request)).toString());
    const isPost = request.method === "POST";
    const isKnown = isPost
      ? form.get("refresh_token") === login.identityToken
      : login.password === undefined ||
        request.headers.authorization === basic(login.username ?? "", login.password);
    if (!isKnown) return sendError(response, 401, "UNAUTHORIZED", "wrong password");
    const scopes = isPost ? (form.get("scope") ?? "").split(" ") : url.searchParams.getAll("scope");
    const token = `token-${String(++this.#counter)}`;
    this.#tokens.set(token, { scopes, uses: login.tokenUses ?? Infinity });
    response.end(JSON.stringify({ [isPost ? "access_token" : "token"]: token, expires_in: 300 }));
  }
}

/** Whether a scope opens a repository for some actions, whatever their order. */
function covers(given: string, name: string, actions: string): boolean {
  const [prefix, list] = [`repository:${name}:`, given.split(":").at(-1)?.split(",") ?? []];
  return given.startsWith(prefix) && actions.split(",").every((action) => list.includes(action));
}

function subjectOf(bytes: Buffer): string | undefined {
  const { subject } = JSON.parse(bytes.toString("utf8")) as { subject?: { digest: string } };
  return subject?.digest;
}

function refuse(request: IncomingMessage, response: ServerResponse, challenge: string): false {
  request.resume();
  response.writeHead(401, { "www-authenticate": challenge });
  response.end(JSON.stringify({ errors: [{ code: "UNAUTHORIZED", message: "log in" }] }));
  return false;
}

function sendError(response: ServerResponse, status: number, code: string, message = code): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify({ errors: [{ code, message }] }));
}

function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

function digestText(bytes: Buffer, algorithm = "sha256"): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
}

/** The headers promise everything, and the connection ends early. */
function truncate(response: ServerResponse, after: number): void {
  const end = response.end.bind(response);
  response.end = ((bytes?: unknown) => {
    if (!Buffer.isBuffer(bytes) && typeof bytes !== "string") return end();
    response.write(Buffer.from(bytes).subarray(0, after), () => response.destroy());
    return response;
  }) as ServerResponse["end"];
}

function damage(response: ServerResponse): void {
  const end = response.end.bind(response);
  response.end = ((bytes?: unknown) =>
    Buffer.isBuffer(bytes)
      ? end(Buffer.from(bytes.map((byte) => byte ^ 1)))
      : end()) as ServerResponse["end"];
}

function changeHeaders(response: ServerResponse, changes: Record<string, string>): void {
  const writeHead = response.writeHead.bind(response);
  response.writeHead = ((status: number, headers: Record<string, string> = {}) => {
    const changed = Object.entries({ ...headers, ...changes }).filter(([, value]) => value !== "");
    return writeHead(status, Object.fromEntries(changed));
  }) as ServerResponse["writeHead"];
}
