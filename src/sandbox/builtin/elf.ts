/** ELF machine numbers. */
export const elfMachine = { x64: 62, arm64: 183 } as const;

const fileHeaderSize = 64;
const programHeaderSize = 56;
const segmentCount = 3;
const headersSize = fileHeaderSize + segmentCount * programHeaderSize;
/** arm64 kernels may use pages of 64 KiB; offsets and addresses agree modulo that, which satisfies smaller pages too. */
const pageSize = 0x10000;
const baseAddress = 0x400000;

const loadSegment = 1;
const stackSegment = 0x6474e551;
const flag = { execute: 1, write: 2, read: 4 } as const;

/** Where the first byte of the data segment lies in memory, whatever the program. */
export const dataAddress = baseAddress + headersSize;

/**
 * A static executable of two segments: headers and `data` (read-write, at {@link dataAddress}), then `code` (read-only,
 * position-independent), entered at its first byte. The data come first because the code needs their addresses while
 * nobody needs the code's.
 * @see System V ABI, chapter 4, "ELF header", and chapter 5, "Program header"
 */
export function buildElf(program: {
  readonly machine: (typeof elfMachine)[keyof typeof elfMachine];
  readonly data: Uint8Array;
  readonly code: Uint8Array;
}): Uint8Array {
  const codeOffset = roundUp(headersSize + program.data.length, 16);
  const codeAddress = roundUp(baseAddress + codeOffset, pageSize) + (codeOffset % pageSize);
  const file = Buffer.alloc(codeOffset + program.code.length);
  writeFileHeader(file, { machine: program.machine, entry: codeAddress });
  writeSegment(file, {
    index: 0,
    type: loadSegment,
    flags: flag.read | flag.write,
    offset: 0,
    address: baseAddress,
    size: headersSize + program.data.length,
  });
  writeSegment(file, {
    index: 1,
    type: loadSegment,
    flags: flag.read | flag.execute,
    offset: codeOffset,
    address: codeAddress,
    size: program.code.length,
  });
  // Without this one the kernel would make the stack executable.
  const stack = {
    type: stackSegment,
    flags: flag.read | flag.write,
    offset: 0,
    address: 0,
    size: 0,
  };
  writeSegment(file, { index: 2, ...stack });
  file.set(program.data, headersSize);
  file.set(program.code, codeOffset);
  return file;
}

function writeFileHeader(file: Buffer, header: { machine: number; entry: number }): void {
  file.set([0x7f, 0x45, 0x4c, 0x46, /* 64 bit */ 2, /* little-endian */ 1, /* version */ 1]);
  file.writeUInt16LE(2, 16); // ET_EXEC
  file.writeUInt16LE(header.machine, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(BigInt(header.entry), 24);
  file.writeBigUInt64LE(BigInt(fileHeaderSize), 32);
  file.writeUInt16LE(fileHeaderSize, 52);
  file.writeUInt16LE(programHeaderSize, 54);
  file.writeUInt16LE(segmentCount, 56);
  file.writeUInt16LE(64, 58); // size of a section header, of which there are none
}

function writeSegment(
  file: Buffer,
  segment: {
    readonly index: number;
    readonly type: number;
    readonly flags: number;
    readonly offset: number;
    readonly address: number;
    readonly size: number;
  },
): void {
  const start = fileHeaderSize + segment.index * programHeaderSize;
  file.writeUInt32LE(segment.type, start);
  file.writeUInt32LE(segment.flags, start + 4);
  const longs = [segment.offset, segment.address, segment.address, segment.size, segment.size];
  for (const [i, value] of longs.entries()) file.writeBigUInt64LE(BigInt(value), start + 8 + i * 8);
  file.writeBigUInt64LE(BigInt(segment.type === loadSegment ? pageSize : 16), start + 48);
}

function roundUp(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}
