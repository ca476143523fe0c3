import type { ServerResponse } from "node:http";
import { startLocalServer } from "./local-server.ts";

/** What steps wait for until the test lets them go on. */
export interface Gate {
  /** A command of busybox that ends when the gate is open. */
  readonly wait: string;
  open(): void;
}

/**
 * Opens a shut gate that goes away with the test. A step waits at it as long as it takes the test to do something beside
 * it: no time that a slow machine might need is guessed. Steps need the host's network.
 */
export async function startGate(): Promise<Gate> {
  const waiting = new Set<ServerResponse>();
  let isOpen = false;
  const { origin } = await startLocalServer((_request, response) => {
    if (isOpen) response.end();
    else waiting.add(response);
  });
  return {
    wait: `wget -q -O /dev/null ${origin}/`,
    open: () => {
      isOpen = true;
      for (const response of waiting) response.end();
    },
  };
}
