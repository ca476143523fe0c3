import type { Argument, Call, Datum } from "./program.ts";

export interface DataSegment {
  readonly bytes: Uint8Array;
  /** The number that goes into a register for `argument`; addresses fit into 32 bits. */
  readonly valueOf: (argument: Argument) => number;
}

/** The kernel reads structs of 64-bit fields from the step program's memory; some architectures want them aligned. */
const alignment = 8;

/** Lays out every datum that `calls` point to, directly or through other data, each once. */
export function layOutData(options: {
  readonly calls: readonly Call[];
  readonly extra: readonly Datum[];
  readonly address: number;
}): DataSegment {
  const addresses = new Map<Datum, number>();
  let end = options.address;
  const place = (datum: Datum): void => {
    if (addresses.has(datum)) return;
    addresses.set(datum, end);
    const size = sizeOf(datum);
    end += size + ((alignment - (size % alignment)) % alignment);
    for (const part of datum.parts) if (isDatum(part)) place(part);
  };
  const placeCalls = (calls: readonly Call[]): void => {
    for (const call of calls) {
      for (const argument of call.args) if (typeof argument === "object") place(argument.datum);
      if (call.loop !== undefined) {
        place(call.loop.list.datum);
        placeCalls(call.loop.before);
      }
      if (call.child !== undefined) placeCalls(call.child);
    }
  };
  for (const datum of options.extra) place(datum);
  placeCalls(options.calls);

  const addressOf = (datum: Datum): number => {
    const address = addresses.get(datum);
    if (address === undefined) throw new Error("a datum was not laid out");
    return address;
  };
  const bytes = Buffer.alloc(end - options.address);
  for (const [datum, address] of addresses) {
    let offset = address - options.address;
    for (const part of datum.parts) {
      if (isDatum(part)) bytes.writeUInt32LE(addressOf(part), offset);
      else if (typeof part === "string") bytes.write(part, offset);
      else bytes.set(part, offset);
      offset += sizeOfPart(part);
    }
  }
  const valueOf = (argument: Argument): number =>
    typeof argument === "object" ? addressOf(argument.datum) + argument.offset : argument;
  return { bytes, valueOf };
}

type Part = Datum["parts"][number];

function isDatum(part: Part): part is Datum {
  return typeof part === "object" && "parts" in part;
}

function sizeOf(datum: Datum): number {
  let size = 0;
  for (const part of datum.parts) size += sizeOfPart(part);
  return size;
}

function sizeOfPart(part: Part): number {
  if (isDatum(part)) return 8;
  return typeof part === "string" ? Buffer.byteLength(part) + 1 : part.length;
}
