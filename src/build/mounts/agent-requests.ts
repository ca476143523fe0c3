/** Message numbers of the agent protocol. @see draft-miller-ssh-agent, "Message numbers" */
const message = { failure: 5, requestIdentities: 11, signRequest: 13 } as const;

/** The protocol's own limit of programs that speak it, in bytes. */
const maxLength = 256 * 1024;

const refusal = Buffer.from([0, 0, 0, 1, message.failure]);

/**
 * Cuts what a client says into requests and lets those pass that only use an agent: listing keys and signing. A step is
 * not to add keys to its caller's agent, to remove them or to lock it.
 */
export class AgentRequests {
  #rest: Buffer = Buffer.alloc(0);

  /** What goes on to the agent, and what is answered at once. @throws when it is no agent protocol */
  push(chunk: Buffer): {
    readonly forward: readonly Buffer[];
    readonly answers: readonly Buffer[];
  } {
    const forward: Buffer[] = [];
    const answers: Buffer[] = [];
    let bytes = Buffer.concat([this.#rest, chunk]);
    while (bytes.length >= 4) {
      const length = bytes.readUInt32BE(0);
      if (length === 0 || length > maxLength) throw new Error("this is no request to an ssh agent");
      if (bytes.length < 4 + length) break;
      const request = bytes.subarray(0, 4 + length);
      if (isUse(request[4])) forward.push(request);
      else answers.push(refusal);
      bytes = bytes.subarray(4 + length);
    }
    this.#rest = bytes;
    return { forward, answers };
  }
}

function isUse(type: number | undefined): boolean {
  return type === message.requestIdentities || type === message.signRequest;
}
