import { openHttpClient, type HttpClient } from "../../src/core/index.ts";

/**
 * Clients that do some requests in step: each of those waits until all who are still at work have come to one. So what
 * depends on who is faster happens the same way on every machine.
 */
export class InStep {
  readonly #isShared: (request: Parameters<HttpClient["request"]>[0]) => boolean;
  readonly #waiting: (() => void)[] = [];
  #active = 0;

  constructor(isShared: (request: Parameters<HttpClient["request"]>[0]) => boolean) {
    this.#isShared = isShared;
  }

  /** One more that is at work until `leave`. All must be joined before the first works. */
  join(): { readonly client: HttpClient; readonly leave: () => Promise<void> } {
    const client = openHttpClient();
    this.#active += 1;
    return {
      client: {
        request: async (request) => {
          if (this.#isShared(request)) await this.#others();
          return client.request(request);
        },
        close: () => client.close(),
      },
      leave: () => {
        this.#active -= 1;
        this.#goOn();
        return client.close();
      },
    };
  }

  #others(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#goOn();
    });
  }

  #goOn(): void {
    if (this.#waiting.length < this.#active) return;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
