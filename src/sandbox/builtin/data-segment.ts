import type { Argument, Call, Datum } from "./program.ts";
import { flattenCalls } from "./program.ts";

export interface DataSegment {
  readonly bytes: Uint8Array;
  /** The number that goes into a register for `argument`. */
  readonly valueOf: (argument: Argument) => bigint;
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
    end = alignUp(end + sizeOf(datum));
    for (const part of datum.parts) if (!(part instanceof Uint8Array)) place(part);
  };
  for (const datum of options.extra) place(datum);
  for (const call of flattenCalls(options.calls)) {
    for (const argument of call.args) if (typeof argument === "object") place(argument.datum);
  }

  const addressOf = (datum: Datum): number => {
    const address = addresses.get(datum);
    if (address === undefined) throw new Error("a datum was not laid out");
    return address;
  };
  const bytes = Buffer.alloc(end - options.address);
  for (const [datum, address] of addresses) {
    let offset = address - options.address;
    for (const part of datum.parts) {
      if (part instanceof Uint8Array) bytes.set(part, offset);
      else bytes.writeBigUInt64LE(BigInt(addressOf(part)), offset);
      offset += part instanceof Uint8Array ? part.length : 8;
    }
  }
  const valueOf = (argument: Argument): bigint =>
    typeof argument === "object"
      ? BigInt(addressOf(argument.datum) + argument.offset)
      : BigInt.asUintN(64, BigInt(argument));
  return { bytes, valueOf };
}

function sizeOf(datum: Datum): number {
  return datum.parts.reduce(
    (size, part) => size + (part instanceof Uint8Array ? part.length : 8),
    0,
  );
}

function alignUp(address: number): number {
  return Math.ceil(address / alignment) * alignment;
}
