/** Five primes, as BigInt for what is done once and as halves of 32 bits for what is done for every eight bytes. */
const prime1 = 0x9e3779b185ebca87n;
const prime2 = 0xc2b2ae3d27d4eb4fn;
const prime3 = 0x165667b19e3779f9n;
const prime4 = 0x85ebca77c2b2ae63n;
const prime5 = 0x27d4eb2f165667c5n;
const [prime1High, prime1Low] = [0x9e3779b1, 0x85ebca87];
const [prime2High, prime2Low] = [0xc2b2ae3d, 0x27d4eb4f];

const stripeSize = 32;

/**
 * XXH64 with seed 0, what zstd frames are checked by. Numbers of 64 bits are computed in halves: BigInt would take ten
 * times as long.
 * @see RFC 8878, section 3.1.1: Content_Checksum
 */
export class XxHash64 {
  /** Four lanes: the high half, then the low half of each. */
  readonly #lanes = new Uint32Array(8);
  readonly #rest = Buffer.alloc(stripeSize);
  #restLength = 0;
  #size = 0;

  constructor() {
    const seeds = [prime1 + prime2, prime2, 0n, -prime1];
    for (const [lane, seed] of seeds.entries()) {
      this.#lanes[2 * lane] = Number(BigInt.asUintN(32, seed >> 32n));
      this.#lanes[2 * lane + 1] = Number(BigInt.asUintN(32, seed));
    }
  }

  /** Bytes so far. */
  get size(): number {
    return this.#size;
  }

  update(bytes: Uint8Array): void {
    this.#size += bytes.length;
    let at = 0;
    if (this.#restLength > 0) {
      at = Math.min(stripeSize - this.#restLength, bytes.length);
      this.#rest.set(bytes.subarray(0, at), this.#restLength);
      this.#restLength += at;
      if (this.#restLength < stripeSize) return;
      this.#stripes(this.#rest);
      this.#restLength = 0;
    }
    const whole = (bytes.length - at) & ~(stripeSize - 1);
    this.#stripes(bytes.subarray(at, at + whole));
    this.#restLength = bytes.length - at - whole;
    this.#rest.set(bytes.subarray(at + whole));
  }

  /** Of all bytes so far; more may follow. */
  digest(): bigint {
    const lanes = [0, 1, 2, 3].map((lane) => this.#lane(lane));
    let hash = prime5;
    if (this.#size >= stripeSize) {
      const turns = [1n, 7n, 12n, 18n];
      hash = wrap(lanes.reduce((sum, lane, index) => sum + turn(lane, turns[index] ?? 0n), 0n));
      for (const lane of lanes) hash = wrap((hash ^ round(0n, lane)) * prime1 + prime4);
    }
    return avalanche(this.#mixRest(wrap(hash + BigInt(this.#size))));
  }

  #lane(lane: number): bigint {
    return (BigInt(this.#lanes[2 * lane] ?? 0) << 32n) | BigInt(this.#lanes[2 * lane + 1] ?? 0);
  }

  #mixRest(start: bigint): bigint {
    const rest = this.#rest.subarray(0, this.#restLength);
    let hash = start;
    let at = 0;
    for (; at + 8 <= rest.length; at += 8)
      hash = wrap(turn(hash ^ round(0n, rest.readBigUInt64LE(at)), 27n) * prime1 + prime4);
    if (at + 4 <= rest.length) {
      hash ^= wrap(BigInt(rest.readUInt32LE(at)) * prime1);
      hash = wrap(turn(hash, 23n) * prime2 + prime3);
      at += 4;
    }
    for (; at < rest.length; at += 1)
      hash = wrap(turn(hash ^ wrap(BigInt(rest[at] ?? 0) * prime5), 11n) * prime1);
    return hash;
  }

  /** `round` on each lane in turn, in halves; `bytes` are whole stripes. */
  #stripes(bytes: Uint8Array): void {
    const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const lanes = this.#lanes;
    for (let at = 0; at < bytes.length; at += 8) {
      const lane = (at >>> 2) & 6;
      const inputLow = words.getUint32(at, true);
      const inputHigh = words.getUint32(at + 4, true);
      // lane + input * prime2
      const productHigh =
        highOfProduct(inputLow, prime2Low) +
        Math.imul(inputHigh, prime2Low) +
        Math.imul(inputLow, prime2High);
      const sumLow = (lanes[lane + 1] ?? 0) + (Math.imul(inputLow, prime2Low) >>> 0);
      const carry = sumLow > 0xffffffff ? 1 : 0;
      const high = ((lanes[lane] ?? 0) + productHigh + carry) | 0;
      const low = sumLow | 0;
      // turned left by 31 bits: the halves change places, and turn right by one
      const turnedHigh = (low >>> 1) | (high << 31);
      const turnedLow = (high >>> 1) | (low << 31);
      // * prime1
      lanes[lane + 1] = Math.imul(turnedLow, prime1Low);
      lanes[lane] =
        highOfProduct(turnedLow >>> 0, prime1Low) +
        Math.imul(turnedHigh, prime1Low) +
        Math.imul(turnedLow, prime1High);
    }
  }
}

/** The upper 32 bits of the product of two numbers of 32 bits. */
function highOfProduct(a: number, b: number): number {
  const aHigh = a >>> 16;
  const aLow = a & 0xffff;
  const bHigh = b >>> 16;
  const bLow = b & 0xffff;
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const other = aLow * bHigh + (middle & 0xffff);
  return aHigh * bHigh + (middle >>> 16) + (other >>> 16);
}

function wrap(value: bigint): bigint {
  return BigInt.asUintN(64, value);
}

function turn(value: bigint, bits: bigint): bigint {
  return wrap((value << bits) | (value >> (64n - bits)));
}

function round(lane: bigint, input: bigint): bigint {
  return wrap(turn(wrap(lane + input * prime2), 31n) * prime1);
}

function avalanche(start: bigint): bigint {
  let hash = start;
  hash = wrap((hash ^ (hash >> 33n)) * prime2);
  hash = wrap((hash ^ (hash >> 29n)) * prime3);
  return hash ^ (hash >> 32n);
}
