/**
 * Work that many ask for and one does. Who comes later waits for the first; when that one fails, for example because it
 * was canceled, each waiter tries for itself.
 */
export class SingleFlight {
  readonly #running = new Map<string, Promise<unknown>>();

  /** `key` names the work and the type of its result. */
  async run<T>(key: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    for (;;) {
      const running = this.#running.get(key) as Promise<T> | undefined;
      if (running === undefined) return this.#start(key, work);
      try {
        return await running;
      } catch {
        // Its error is told to whom it belongs.
        signal?.throwIfAborted();
      }
    }
  }

  async #start<T>(key: string, work: () => Promise<T>): Promise<T> {
    const running = work();
    this.#running.set(key, running);
    try {
      return await running;
    } finally {
      this.#running.delete(key);
    }
  }
}
