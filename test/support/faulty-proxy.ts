import { once } from "node:events";
import {
  createServer,
  request as startRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { pipeline, Transform, type Readable } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";

/** What happens to one request on its way to a server, or to the answer on its way back. */
export type ProxyFault =
  | { readonly type: "status"; readonly status: number; readonly retryAfter?: string }
  /** The connection breaks after so many bytes of the request's body, or before the request when it has fewer. */
  | { readonly type: "cut-request"; readonly after: number }
  /** The connection breaks after so many bytes of the answer's body. */
  | { readonly type: "cut-answer"; readonly after: number }
  /** One byte of the request's body is another one. */
  | { readonly type: "damage-request"; readonly at: number }
  /** One byte of the answer's body is another one. */
  | { readonly type: "damage-answer"; readonly at: number }
  /** Only so many bytes come, and the answer says that these are all. */
  | { readonly type: "short"; readonly after: number }
  /** Only so many bytes come, and the answer does not say how many there are. */
  | { readonly type: "short-untold"; readonly after: number }
  /** Nothing of the request's body gets through behind so many bytes, and nothing breaks. */
  | { readonly type: "hold-request"; readonly after: number; readonly onHeld: () => void }
  /** The same with the answer's body. */
  | { readonly type: "hold-answer"; readonly after: number; readonly onHeld: () => void }
  /** Both bodies come in very small pieces. */
  | { readonly type: "slow" }
  /** What is read is at another host. */
  | { readonly type: "redirect" }
  /** Nobody ever answers. */
  | { readonly type: "stall" };

export interface ProxyRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  /** The header of that name. */
  readonly range: string | undefined;
}

/** A way to a server of this machine on which requests meet faults. */
export interface FaultyProxy {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  /** Says of each request what happens to it. */
  choose: (request: ProxyRequest) => ProxyFault | undefined;
  readonly seen: readonly ProxyRequest[];
  /** Requests that met a fault. */
  readonly met: readonly ProxyRequest[];
  /** What the other host was asked, after redirects. */
  readonly elsewhere: readonly IncomingMessage[];
  close(): Promise<void>;
}

/**
 * Opens a proxy before `target` (`host:port`), and another host beside it that has the same content. Whoever opens it
 * closes it.
 */
export async function openFaultyProxy(
  target: string,
  options: {
    /** How the other host introduces itself to the target, where that wants to know. */
    readonly authorization?: string;
  } = {},
): Promise<FaultyProxy> {
  const seen: ProxyRequest[] = [];
  const met: ProxyRequest[] = [];
  const elsewhere: IncomingMessage[] = [];
  const other = await listen((request, response) => {
    elsewhere.push(request);
    const { authorization = "" } = options;
    relay({ request, response, target, headers: { ...request.headers, authorization } });
  });
  const main = await listen((request, response) => {
    const { method = "", url: path = "", headers } = request;
    const asked = { method, path, range: headers.range };
    const fault = proxy.choose(asked);
    if (fault !== undefined) met.push(asked);
    seen.push(asked);
    answer({ request, response, target, headers, fault }, other.host);
  });
  const proxy: FaultyProxy = {
    host: main.host,
    choose: () => undefined,
    seen,
    met,
    elsewhere,
    close: async () => {
      for (const { server } of [main, other]) {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
  };
  return proxy;
}

async function listen(
  listener: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<{ readonly server: Server; readonly host: string }> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port was given");
  return { server, host: `127.0.0.1:${String(address.port)}` };
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly target: string;
  readonly headers: IncomingMessage["headers"];
  readonly fault?: ProxyFault | undefined;
}

function answer(exchange: Exchange, otherHost: string): void {
  const { request, response, fault } = exchange;
  switch (fault?.type) {
    case "status": {
      request.resume();
      const { status, retryAfter } = fault;
      response.writeHead(status, retryAfter === undefined ? {} : { "retry-after": retryAfter });
      response.end();
      return;
    }
    case "redirect":
      request.resume();
      response.writeHead(307, { location: `http://${otherHost}${request.url ?? ""}` }).end();
      return;
    case "stall":
      request.resume();
      return;
    default:
      relay(exchange);
  }
}

/** Hands a request and its answer on, each with what its fault does to it. */
function relay(exchange: Exchange): void {
  const { request, response, target, headers, fault } = exchange;
  const [host, port] = target.split(":");
  const { method, url: path } = request;
  const ahead = startRequest({ host, port, method, path, headers, agent: false });
  const cut = (): void => {
    request.socket.destroy();
    ahead.destroy();
  };
  ahead.on("error", cut);
  response.on("close", () => ahead.destroy());
  ahead.on("response", (told) => {
    const known = { ...told.headers };
    const length = Number(known["content-length"]);
    if (fault?.type === "short" && fault.after < length) {
      known["content-length"] = String(fault.after);
    }
    if (fault?.type === "short-untold") delete known["content-length"];
    response.writeHead(told.statusCode ?? 502, known);
    if (fault?.type === "cut-answer") response.flushHeaders();
    carry(told, response, answerFault(fault, cut));
  });
  carry(request, ahead, requestFault(request, fault, cut));
}

function carry(from: Readable, to: NodeJS.WritableStream, change: Transform | undefined): void {
  // Whoever is at the other end sees a broken connection; that is what faults are for.
  const done = (): void => undefined;
  if (change === undefined) pipeline(from, to, done);
  else pipeline(from, change, to, done);
}

function requestFault(
  request: IncomingMessage,
  fault: ProxyFault | undefined,
  cut: () => void,
): Transform | undefined {
  switch (fault?.type) {
    case "cut-request":
      if (Number(request.headers["content-length"] ?? 0) <= fault.after) cut();
      return cutAfter(fault.after, cut);
    case "damage-request":
      return damageAt(fault.at);
    case "hold-request":
      return holdAfter(fault.after, fault.onHeld);
    case "slow":
      return inCrumbs();
    default:
      return undefined;
  }
}

function answerFault(fault: ProxyFault | undefined, cut: () => void): Transform | undefined {
  switch (fault?.type) {
    case "cut-answer":
      return cutAfter(fault.after, cut);
    case "damage-answer":
      return damageAt(fault.at);
    case "hold-answer":
      return holdAfter(fault.after, fault.onHeld);
    case "short":
    case "short-untold":
      return onlyFirst(fault.after);
    case "slow":
      return inCrumbs();
    default:
      return undefined;
  }
}

/** What fits still arrives, then the connection breaks. */
function cutAfter(limit: number, cut: () => void): Transform {
  let left = limit;
  return new Transform({
    transform(chunk: Buffer, _encoding, done): void {
      if (chunk.length <= left) {
        left -= chunk.length;
        done(null, chunk);
        return;
      }
      this.push(chunk.subarray(0, left));
      // What was handed on goes out first.
      setImmediate(cut);
    },
  });
}

function holdAfter(limit: number, onHeld: () => void): Transform {
  let left = limit;
  return new Transform({
    transform(chunk: Buffer, _encoding, done): void {
      const taken = chunk.subarray(0, left);
      left -= taken.length;
      this.push(taken);
      if (left > 0) done();
      else onHeld();
    },
  });
}

function onlyFirst(limit: number): Transform {
  let left = limit;
  return new Transform({
    transform(chunk: Buffer, _encoding, done): void {
      const taken = chunk.subarray(0, left);
      left -= taken.length;
      done(null, taken);
    },
  });
}

/** Shorter bodies have their last byte changed. */
function damageAt(position: number): Transform {
  let offset = 0;
  let held: Buffer | undefined;
  const flip = (bytes: Buffer, at: number): Buffer => {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 1;
    return changed;
  };
  return new Transform({
    transform(chunk: Buffer, _encoding, done): void {
      if (held !== undefined) this.push(held);
      const at = position - offset;
      offset += chunk.length;
      if (at >= 0 && at < chunk.length) {
        held = undefined;
        done(null, flip(chunk, at));
        return;
      }
      held = chunk;
      done();
    },
    flush(done): void {
      if (held !== undefined) this.push(offset <= position ? flip(held, held.length - 1) : held);
      done();
    },
  });
}

const crumb = 4096;

function inCrumbs(): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done): void {
      const push = async (): Promise<void> => {
        for (let at = 0; at < chunk.length; at += crumb) {
          this.push(chunk.subarray(at, at + crumb));
          await turn();
        }
      };
      push().then(() => done(), done);
    },
  });
}
