import { once } from "node:events";
import { request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { startLocalServer } from "./local-server.ts";

/** A server of this machine that hands every request on to another one, and tells what was asked. */
export async function startRelay(
  to: string,
): Promise<{ readonly host: string; readonly requests: string[] }> {
  const { origin, requests } = await startLocalServer((request, response) =>
    relay(to, request, response),
  );
  return { host: new URL(origin).host, requests };
}

/** Hands one request on to `host`. */
export async function relay(
  host: string,
  from: IncomingMessage,
  to: ServerResponse,
): Promise<void> {
  const { method, url: path = "/", headers } = from;
  const [hostname, port] = host.split(":");
  const asked = from.pipe(httpRequest({ hostname, port, method, path, headers }));
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  to.writeHead(answer.statusCode ?? 502, answer.headers);
  await pipeline(answer, to);
}
