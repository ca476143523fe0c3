import type { IncomingMessage } from "node:http";
import { buffer } from "node:stream/consumers";
import { startLocalServer } from "./local-server.ts";

/** One request for a token, by whichever of the two ways it came. */
export interface AskedToken {
  readonly method: string;
  readonly scopes: readonly string[];
  readonly query: URLSearchParams;
  readonly form: URLSearchParams;
  readonly authorization: string | undefined;
}

/** What a token server answers: a status without a body, or a document. */
export type TokenAnswer = number | Readonly<Record<string, unknown>>;

export interface TokenWorld {
  /** `127.0.0.1:PORT` of the registry. */
  readonly host: string;
  readonly asked: readonly AskedToken[];
  /** `METHOD path authorization` of what reached the registry. */
  readonly requests: readonly string[];
}

/**
 * A registry that lets nobody in without a token, and the server that gives tokens; each on a port of its own. Every
 * request with an accepted token is answered by a tag list.
 */
export async function startTokenWorld(options: {
  readonly answer: (asked: AskedToken) => TokenAnswer;
  /** The challenge; `REALM` becomes the token server's address. */
  readonly challenge?: (request: IncomingMessage) => string;
  readonly accepts: (authorization: string, request: IncomingMessage) => boolean;
}): Promise<TokenWorld> {
  const asked: AskedToken[] = [];
  const requests: string[] = [];
  const tokens = await startLocalServer(async (request, response) => {
    const form = new URLSearchParams((await buffer(request)).toString());
    const query = new URL(request.url ?? "/", "http://x").searchParams;
    const found: AskedToken = {
      method: request.method ?? "",
      scopes:
        request.method === "POST" ? (form.get("scope") ?? "").split(" ") : query.getAll("scope"),
      query,
      form,
      authorization: request.headers.authorization,
    };
    asked.push(found);
    const answer = options.answer(found);
    if (typeof answer === "number") response.writeHead(answer).end();
    else response.end(JSON.stringify(answer));
  });
  const registry = await startLocalServer((request, response) => {
    const { authorization } = request.headers;
    if (request.url !== "/v2/") {
      requests.push(`${request.method ?? ""} ${request.url ?? ""} ${authorization ?? "-"}`);
    }
    if (authorization !== undefined && options.accepts(authorization, request)) {
      response.end(JSON.stringify({ tags: ["1"] }));
      return;
    }
    const challenge = options.challenge?.(request) ?? 'Bearer realm="REALM",service="registry"';
    const header = challenge.replace("REALM", `${tokens.origin}/token?tenant=a`);
    response.writeHead(401, { "www-authenticate": header }).end();
  });
  return { host: new URL(registry.origin).host, asked, requests };
}
