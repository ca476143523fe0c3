import { readFileSync } from "node:fs";
import program from "./assembly/index.ts?wasm";

/** What the encoder remembers of what came before: as far as deflate can refer. */
export const windowLength = 32 * 1024;
/** Bytes that the encoder takes at once, at most, besides the window. */
export const longestInput = 1024 * 1024;
/** What comes out of that, at most: what cannot be compressed becomes some bytes longer. */
export const longestOutput = longestInput + 16 * 1024;

/** What `assembly/index.ts` exports. */
interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly inputStart: { readonly value: number };
  readonly outputStart: { readonly value: number };
  readonly deflate: (before: number, length: number) => number;
}

/** What we use of it: the types of the whole are those of browsers, which are not loaded here. */
interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
}

let encoder: Exports | undefined;

/**
 * V8 sets 10 GB of addresses aside for the memory of each encoder. In this thread, three others and undici, which has one
 * for HTTP, that is 50 GB; where they end, undici fails, or V8 ends the process.
 */
const enoughAddresses = 64e9;

/** Whether it can run here: `node --jitless` has no WebAssembly, and `ulimit -v` may leave too few addresses for it. */
export function canEncode(): boolean {
  return (encoder ??= loadEncoder()) !== undefined;
}

/**
 * Compresses a window and what follows it, of which only the latter is told: whole blocks of deflate that end at a byte,
 * none of them the last. The bytes depend on the input alone. The answer lies in memory that the next call uses again.
 * Only where `canEncode`.
 */
export function deflateBlock(input: {
  /** At most `windowLength` and `longestInput` bytes. */
  readonly bytes: Uint8Array;
  /** How many of them are the window. */
  readonly before: number;
}): Uint8Array {
  encoder ??= loadEncoder();
  if (encoder === undefined) throw new Error("this process runs no WebAssembly");
  const { memory, inputStart, outputStart, deflate } = encoder;
  const { bytes, before } = input;
  new Uint8Array(memory.buffer, inputStart.value).set(bytes);
  const length = deflate(before, bytes.length - before);
  return new Uint8Array(memory.buffer, outputStart.value, length);
}

function loadEncoder(): Exports | undefined {
  const api = (globalThis as { readonly WebAssembly?: WebAssemblyApi }).WebAssembly;
  if (api === undefined || mostAddresses() < enoughAddresses) return undefined;
  try {
    return new api.Instance(new api.Module(Buffer.from(program, "base64"))).exports as Exports;
  } catch (error) {
    // No memory for it.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Bytes of addresses that this process may have. */
function mostAddresses(): number {
  try {
    const limits = readFileSync("/proc/self/limits", "latin1");
    return Number(/^Max address space +(\d+)/m.exec(limits)?.[1] ?? Infinity);
  } catch {
    // Without /proc nobody tells; mostly there is no limit.
    return Infinity;
  }
}
