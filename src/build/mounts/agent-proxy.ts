import { chmod, chown, open } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { AgentRequests } from "./agent-requests.ts";

/** Connects to an agent. */
export type ConnectAgent = () => Socket;

export interface AgentProxy {
  close(): Promise<void>;
}

/**
 * A socket `name` in `directory` with the looks that a mount asks for, behind which every connection goes on to the
 * agent, as far as it only uses that. The agent's own socket stays as it is, whoever runs the step.
 */
export async function serveAgent(options: {
  readonly directory: string;
  readonly name: string;
  readonly connect: ConnectAgent;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}): Promise<AgentProxy> {
  const connections = new Set<Socket>();
  const server = createServer((client) => {
    const agent = options.connect();
    for (const socket of [client, agent]) {
      connections.add(socket);
      socket.on("close", () => {
        connections.delete(socket);
        client.destroy();
        agent.destroy();
      });
      // What went wrong is told to the client by its connection's end.
      socket.on("error", () => socket.destroy());
    }
    const requests = new AgentRequests();
    client.on("data", (chunk: Buffer) => {
      try {
        const { forward, answers } = requests.push(chunk);
        for (const request of forward) agent.write(request);
        for (const answer of answers) client.write(answer);
      } catch {
        client.destroy();
      }
    });
    agent.pipe(client);
  });
  // Addresses of sockets end at 108 bytes, paths of state folders do not.
  const handle = await open(options.directory, "r");
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(`/proc/self/fd/${String(handle.fd)}/${options.name}`, resolve);
  });
  const path = join(options.directory, options.name);
  await chown(path, options.uid, options.gid);
  await chmod(path, options.mode);
  return {
    close: async () => {
      for (const socket of connections) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      await handle.close();
    },
  };
}
