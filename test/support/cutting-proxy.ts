import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import type { Readable } from "node:stream";

/** A way to a server of this machine on which connections break. */
export interface CuttingProxy {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  /** Bytes that each new connection may carry, both ways together, before it is cut; Infinity for no cut. */
  budget: () => number;
  /** How many connections were cut. */
  readonly cuts: number;
  close(): Promise<void>;
}

/** Opens a proxy before `host:port`. Whoever opens it closes it. */
export async function openCuttingProxy(target: string): Promise<CuttingProxy> {
  const [hostname = "", port = ""] = target.split(":");
  const open = new Set<Socket>();
  const proxy = { budget: () => Infinity, cuts: 0, host: "", close: () => Promise.resolve() };
  const server = createServer((client) => {
    const behind = connect(Number(port), hostname);
    let left = proxy.budget();
    const end = (): void => {
      client.destroy();
      behind.destroy();
    };
    const carry = (from: Socket, to: Socket): void => {
      open.add(from);
      from.once("close", () => {
        open.delete(from);
        to.destroy();
      });
      from.on("error", end);
      from.on("data", (chunk: Buffer) => {
        if (chunk.length <= left) {
          left -= chunk.length;
          if (!to.write(chunk)) pauseUntilDrained(from, to);
          return;
        }
        // What fits still arrives: a cut in the middle of a message.
        proxy.cuts += 1;
        to.write(chunk.subarray(0, left), end);
        left = 0;
      });
    };
    carry(client, behind);
    carry(behind, client);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port was given");
  proxy.host = `127.0.0.1:${String(address.port)}`;
  proxy.close = async () => {
    for (const socket of open) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  return proxy;
}

function pauseUntilDrained(from: Readable, to: Socket): void {
  from.pause();
  to.once("drain", () => from.resume());
}
