/**
 * A static program for 64-bit ARM that prints `text` and ends with 0: for builds of foreign platforms, since no
 * compiler for them can be expected. Straight-line: write(1, text, length), exit(0).
 * @see Arm Architecture Reference Manual, C6.2 (MOVZ, ADR, SVC); elf(5)
 */
export function makeArm64Program(text: string): Buffer {
  const message = Buffer.from(text);
  const movz = (register: number, value: number): number =>
    (0xd2800000 | (value << 5) | register) >>> 0;
  const supervisorCall = 0xd4000001;
  const [write, exit] = [64, 93];
  const codeLength = 8 * 4;
  // ADR counts from itself, the second instruction.
  const distance = codeLength - 4;
  const addressOfMessage = (0x10000000 | ((distance >> 2) << 5) | 1) >>> 0;
  const code = Buffer.alloc(codeLength);
  [
    ...[movz(0, 1), addressOfMessage, movz(2, message.length), movz(8, write), supervisorCall],
    ...[movz(0, 0), movz(8, exit), supervisorCall],
  ].forEach((instruction, index) => code.writeUInt32LE(instruction, index * 4));
  return Buffer.concat([makeHeaders(code.length + message.length), code, message]);
}

/** ELF header and one program header: everything is one readable, executable segment. */
function makeHeaders(contentLength: number): Buffer {
  const [headerLength, base] = [64 + 56, 0x400000n];
  const bytes = Buffer.alloc(headerLength);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  bytes.writeUInt16LE(2, 16); // executable
  bytes.writeUInt16LE(183, 18); // AArch64
  bytes.writeUInt32LE(1, 20);
  bytes.writeBigUInt64LE(base + BigInt(headerLength), 24); // entry
  bytes.writeBigUInt64LE(64n, 32); // program headers
  bytes.writeUInt16LE(64, 52);
  bytes.writeUInt16LE(56, 54);
  bytes.writeUInt16LE(1, 56);
  const segment = 64;
  bytes.writeUInt32LE(1, segment); // load
  bytes.writeUInt32LE(5, segment + 4); // readable, executable
  bytes.writeBigUInt64LE(base, segment + 16);
  bytes.writeBigUInt64LE(base, segment + 24);
  bytes.writeBigUInt64LE(BigInt(headerLength + contentLength), segment + 32);
  bytes.writeBigUInt64LE(BigInt(headerLength + contentLength), segment + 40);
  bytes.writeBigUInt64LE(0x1000n, segment + 48);
  return bytes;
}
