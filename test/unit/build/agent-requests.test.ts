import { describe, expect, test } from "vitest";
import { AgentRequests } from "../../../src/build/mounts/agent-requests.ts";

const request = (type: number, body = ""): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(1 + body.length);
  return Buffer.concat([length, Buffer.from([type]), Buffer.from(body)]);
};

describe("requests to an ssh agent", () => {
  test("listing keys and signing pass, in pieces too [3.37]", () => {
    const requests = new AgentRequests();
    const bytes = Buffer.concat([request(11), request(13, "sign this")]);
    const forwarded: Buffer[] = [];
    for (const byte of bytes) {
      const { forward, answers } = requests.push(Buffer.from([byte]));
      expect(answers).toEqual([]);
      forwarded.push(...forward);
    }
    expect(forwarded).toEqual([request(11), request(13, "sign this")]);
  });

  test.each([
    ["add a key", 17],
    ["remove a key", 18],
    ["remove all keys", 19],
    ["lock", 22],
    ["an extension", 27],
  ])("%s is answered with a failure [3.37]", (_what, type) => {
    const { forward, answers } = new AgentRequests().push(request(type, "body"));
    expect(forward).toEqual([]);
    expect(answers).toEqual([request(5)]);
  });

  test("what is no request ends the connection", () => {
    expect(() => new AgentRequests().push(Buffer.alloc(4))).toThrow();
    expect(() => new AgentRequests().push(Buffer.from("GET / HTTP/1.1\r\n"))).toThrow();
  });
});
