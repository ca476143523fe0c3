import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from "node:http";
import { onTestFinished } from "vitest";

export interface LocalServer {
  /** `http://127.0.0.1:PORT`. */
  readonly origin: string;
  /** `METHOD /path` of each request, in order. */
  readonly requests: string[];
  /** Each request as it came. */
  readonly messages: IncomingMessage[];
  close(): Promise<void>;
}

/** An HTTP server on a free port of 127.0.0.1 that goes away with the test. */
export async function startLocalServer(
  answer: (request: IncomingMessage, response: ServerResponse) => void | Promise<void>,
): Promise<LocalServer> {
  const server = await openLocalServer((request, response) => {
    Promise.resolve(answer(request, response)).catch((error: unknown) =>
      response.destroy(error instanceof Error ? error : new Error(String(error))),
    );
  });
  onTestFinished(() => server.close());
  return server;
}

/** The same without a test around it: whoever opens it closes it. */
export async function openLocalServer(listener: RequestListener): Promise<LocalServer> {
  const requests: string[] = [];
  const messages: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method ?? ""} ${request.url ?? ""}`);
    messages.push(request);
    listener(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port was given");
  return {
    origin: `http://127.0.0.1:${String(address.port)}`,
    requests,
    messages,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
