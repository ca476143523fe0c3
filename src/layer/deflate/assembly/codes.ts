import { sortedSymbols, symbolsAtDepth, tree } from "./layout.ts";

/** Symbols are below it. */
const symbolMask: u32 = 511;
const symbolShift: u32 = 9;

/**
 * Makes a Huffman code of at most `most` bits for the symbols that `counts` counts: their bits go to `bits` (u8), and the codes
 * to `codes` (see layout). At least two symbols get one: decoders refuse incomplete codes.
 */
export function makeCode(counts: usize, size: u32, most: u32, bits: usize, codes: usize): void {
  memory.fill(bits, 0, size);
  const used = sortByCount(counts, size);
  growTree(used);
  countDepths(used, most);
  shortenTo(most);
  giveLengths(most, bits);
  giveCodes(size, most, bits, codes);
}

/** Bits that all symbols take with this code, without their extra bits. */
export function costOf(counts: usize, size: u32, bits: usize): u32 {
  let cost: u32 = 0;
  for (let symbol: u32 = 0; symbol < size; symbol++) {
    cost += at(counts, symbol) * <u32>load<u8>(bits + symbol);
  }
  return cost;
}

/** The symbols that occur, the rarest first; answers how many they are. Each is `count << symbolShift | symbol`. */
function sortByCount(counts: usize, size: u32): u32 {
  let used: u32 = 0;
  for (let symbol: u32 = 0; symbol < size; symbol++) {
    if (at(counts, symbol) > 0) used++;
  }
  for (let symbol: u32 = 0; used < 2; symbol++) {
    if (at(counts, symbol) > 0) continue;
    put(counts, symbol, 1);
    used++;
  }
  let filled: u32 = 0;
  for (let symbol: u32 = 0; symbol < size; symbol++) {
    const count = at(counts, symbol);
    if (count > 0) put(sortedSymbols, filled++, (count << symbolShift) | symbol);
  }
  // Shell's sort, with gaps that Ciura found.
  sortWithGap(57, used);
  sortWithGap(23, used);
  sortWithGap(10, used);
  sortWithGap(4, used);
  sortWithGap(1, used);
  return used;
}

function sortWithGap(gap: u32, used: u32): void {
  for (let index = gap; index < used; index++) {
    const moved = at(sortedSymbols, index);
    let to = index;
    for (; to >= gap && at(sortedSymbols, to - gap) > moved; to -= gap) {
      put(sortedSymbols, to, at(sortedSymbols, to - gap));
    }
    put(sortedSymbols, to, moved);
  }
}

/**
 * Moffat and Katajainen's way to build the tree in the array of the counts itself: a place is first a leaf's count, then an
 * inner node's, then the number of that node's parent, and at last its depth. The root is the last but one.
 */
function growTree(used: u32): void {
  for (let leaf: u32 = 0; leaf < used; leaf++) {
    put(tree, leaf, at(sortedSymbols, leaf) >> symbolShift);
  }
  let leaf: u32 = 0;
  let inner: u32 = 0;
  for (let node: u32 = 0; node < used - 1; node++) {
    let sum: u32 = 0;
    for (let child = 0; child < 2; child++) {
      const isLeaf = leaf < used && (inner >= node || at(tree, leaf) <= at(tree, inner));
      if (isLeaf) {
        sum += at(tree, leaf++);
        continue;
      }
      sum += at(tree, inner);
      put(tree, inner++, node);
    }
    put(tree, node, sum);
  }
  put(tree, used - 2, 0);
  for (let node = <i32>used - 3; node >= 0; node--) {
    put(tree, node, at(tree, at(tree, node)) + 1);
  }
}

/** How many symbols lie at each depth; those that lie deeper than `most` are counted there. */
function countDepths(used: u32, most: u32): void {
  memory.fill(symbolsAtDepth, 0, 4 * (most + 1));
  let node = <i32>used - 2;
  let places: u32 = 1;
  for (let depth: u32 = 0; places > 0; depth++) {
    let innerNodes: u32 = 0;
    for (; node >= 0 && at(tree, node) === depth; node--) innerNodes++;
    const shown = min(depth, most);
    put(symbolsAtDepth, shown, at(symbolsAtDepth, shown) + places - innerNodes);
    places = 2 * innerNodes;
  }
}

/** Makes a code of what was cut off at `most`: two leaves go below one that lies higher, until all have a place. */
function shortenTo(most: u32): void {
  let taken: u32 = 0;
  for (let depth: u32 = 1; depth <= most; depth++) {
    taken += at(symbolsAtDepth, depth) << (most - depth);
  }
  for (; taken > (<u32>1) << most; taken--) {
    let above = most - 1;
    while (at(symbolsAtDepth, above) === 0) above--;
    put(symbolsAtDepth, above, at(symbolsAtDepth, above) - 1);
    put(symbolsAtDepth, above + 1, at(symbolsAtDepth, above + 1) + 2);
    put(symbolsAtDepth, most, at(symbolsAtDepth, most) - 1);
  }
}

/** The rarest get the longest. */
function giveLengths(most: u32, bits: usize): void {
  let index: u32 = 0;
  for (let depth = most; depth > 0; depth--) {
    for (let left = at(symbolsAtDepth, depth); left > 0; left--) {
      store<u8>(bits + (at(sortedSymbols, index++) & symbolMask), <u8>depth);
    }
  }
}

/** Numbers them as RFC 1951, 3.2.2 says, so that the lengths tell the codes. */
function giveCodes(size: u32, most: u32, bits: usize, codes: usize): void {
  // The tree is done with: the next code of each length takes its place.
  let code: u32 = 0;
  put(symbolsAtDepth, 0, 0);
  for (let length: u32 = 1; length <= most; length++) {
    code = (code + at(symbolsAtDepth, length - 1)) << 1;
    put(tree, length, code);
  }
  for (let symbol: u32 = 0; symbol < size; symbol++) {
    const length: u32 = load<u8>(bits + symbol);
    if (length === 0) continue;
    const next = at(tree, length);
    put(tree, length, next + 1);
    put(codes, symbol, reverseBits(next, length) | (length << 16));
  }
}

/** Codes are written by their highest bit first, all else by the lowest. */
function reverseBits(value: u32, count: u32): u32 {
  let reversed: u32 = 0;
  for (; count > 0; count--) {
    reversed = (reversed << 1) | (value & 1);
    value >>= 1;
  }
  return reversed;
}

function at(array: usize, index: u32): u32 {
  return load<u32>(array + ((<usize>index) << 2));
}

function put(array: usize, index: u32, value: u32): void {
  store<u32>(array + ((<usize>index) << 2), value);
}
