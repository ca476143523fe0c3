import { once } from "node:events";
import { connect, createServer } from "node:net";

/** Stands before a registry and counts what is sent to it. */
export interface Relay {
  /** Host and port. */
  readonly host: string;
  /** Bytes that were sent since somebody asked the last time, headers of HTTP included. */
  take(): number;
}

/** It ends with the process. */
export async function openRelay(target: string): Promise<Relay> {
  const { hostname, port } = new URL(`http://${target}`);
  let bytes = 0;
  const server = createServer((socket) => {
    const far = connect(Number(port), hostname);
    socket.on("data", (chunk: Buffer) => (bytes += chunk.length));
    socket.pipe(far).pipe(socket);
    socket.on("error", () => far.destroy());
    far.on("error", () => socket.destroy());
  });
  server.listen(0, "127.0.0.1").unref();
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port was given");
  return {
    host: `127.0.0.1:${String(address.port)}`,
    take: () => {
      const taken = bytes;
      bytes = 0;
      return taken;
    },
  };
}
