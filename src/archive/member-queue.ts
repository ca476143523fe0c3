import type { ArchiveMemberWithContent } from "../layer/index.ts";

/** A place in the queue, and how to tell its owner that the member has been written. */
interface Waiting {
  readonly member: ArchiveMemberWithContent;
  readonly done: () => void;
  readonly fail: (error: Error) => void;
}

/**
 * Turns members that are pushed one by one into the sequence that a tar writer pulls. `add` resolves when its member
 * has been written as a whole.
 */
export class MemberQueue {
  readonly #waiting: Waiting[] = [];
  #current: Waiting | undefined;
  #wake: (() => void) | undefined;
  #failure: Error | undefined;
  #isEnded = false;

  add(member: ArchiveMemberWithContent): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      this.#waiting.push({ member, done: resolve, fail: reject });
      this.#wake?.();
    });
  }

  /** No member comes any more. */
  end(): void {
    this.#isEnded = true;
    this.#wake?.();
  }

  /** Fails everything that waits, and what is added from now on. */
  fail(error: Error): void {
    this.#failure ??= error;
    for (const waiting of this.#waiting.splice(0)) waiting.fail(error);
    this.#current?.fail(error);
    this.#current = undefined;
    this.#wake?.();
  }

  /** Each member in its turn. Asking for the next one means that the last one is written. */
  async *members(): AsyncGenerator<ArchiveMemberWithContent> {
    for (;;) {
      const next = this.#waiting.shift();
      if (next !== undefined) {
        this.#current = next;
        yield next.member;
        next.done();
        this.#current = undefined;
      } else if (this.#failure !== undefined) {
        throw this.#failure;
      } else if (this.#isEnded) {
        return;
      } else {
        await new Promise<void>((resolve) => (this.#wake = resolve));
        this.#wake = undefined;
      }
    }
  }
}
