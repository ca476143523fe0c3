/** Something that stands in a column: a block, or a line that passes. `y` is set by {@link placeColumns}. */
export interface Item {
  column: number;
  y: number;
  readonly height: number;
}

/** A line from an item to one of the next column. */
export interface Link {
  readonly from: Item;
  readonly to: Item;
  /** How many lines it stands for. */
  readonly weight: number;
}

const sweeps = 8;

/** Orders the items of each column so that few lines cross: each goes to the middle of its neighbours, over and over. */
export function orderColumns(columns: Item[][], links: readonly Link[]): void {
  const neighbours = neighboursOf(links);
  for (let sweep = 0; sweep < sweeps; sweep++) {
    const isForward = sweep % 2 === 0;
    const order = isForward ? columns.slice(1) : columns.slice(0, -1).reverse();
    for (const column of order) {
      const beside = columns[(columns.indexOf(column) || 0) + (isForward ? -1 : 1)] ?? [];
      const positions = new Map(beside.map((item, index) => [item, index]));
      const wanted = new Map(
        column.map((item, index) => [item, meanPosition(item, { neighbours, positions }) ?? index]),
      );
      column.sort((a, b) => (wanted.get(a) ?? 0) - (wanted.get(b) ?? 0));
    }
  }
}

/** Gives every item its place: in the order of its column, none over another, and as level with its neighbours as can be. */
export function placeColumns(
  columns: readonly Item[][],
  options: { readonly links: readonly Link[]; readonly gap: number },
): void {
  const { gap } = options;
  const neighbours = neighboursOf(options.links);
  for (const column of columns) stack(column, { gap, wanted: () => 0 });
  for (let sweep = 0; sweep < sweeps; sweep++) {
    const order = sweep % 2 === 0 ? columns.slice(1) : columns.slice(0, -1).reverse();
    for (const column of order) {
      const wanted = new Map(column.map((item) => [item, levelOf(item, neighbours)]));
      stack(column, { gap, wanted: (item) => wanted.get(item) ?? item.y });
    }
  }
  const top = columns.flat().reduce((least, { y }) => Math.min(least, y), Infinity);
  for (const item of columns.flat()) item.y -= top;
}

/**
 * Places below each other that are as near to what is wanted as can be (least squares): whoever would stand too high is
 * joined with the one above, and both go to the mean of what they want.
 */
function stack(
  column: readonly Item[],
  { gap, wanted }: { readonly gap: number; readonly wanted: (item: Item) => number },
): void {
  const groups: { sum: number; count: number }[] = [];
  const offsets: number[] = [];
  let offset = 0;
  for (const item of column) {
    offsets.push(offset);
    groups.push({ sum: wanted(item) - offset, count: 1 });
    offset += item.height + gap;
    for (;;) {
      const [above, last] = [groups.at(-2), groups.at(-1)];
      if (above === undefined || last === undefined) break;
      if (above.sum / above.count <= last.sum / last.count) break;
      groups.pop();
      groups[groups.length - 1] = { sum: above.sum + last.sum, count: above.count + last.count };
    }
  }
  let index = 0;
  for (const { sum, count } of groups) {
    for (const end = index + count; index < end; index++) {
      const item = column[index];
      if (item !== undefined) item.y = Math.round((offsets[index] ?? 0) + sum / count);
    }
  }
}

/** Where an item wants to begin so that its middle is level with the middle of its neighbours. */
function levelOf(item: Item, neighbours: Neighbours): number | undefined {
  const middle = meanOf(neighbours.get(item) ?? [], ({ y, height }) => y + height / 2);
  return middle === undefined ? undefined : middle - item.height / 2;
}

function meanPosition(
  item: Item,
  place: {
    readonly neighbours: Neighbours;
    readonly positions: ReadonlyMap<Item, number>;
  },
): number | undefined {
  return meanOf(place.neighbours.get(item) ?? [], (each) => place.positions.get(each));
}

/** Of what is told, each counted by its weight; undefined where nothing is. */
function meanOf(
  neighbours: readonly Neighbour[],
  valueOf: (item: Item) => number | undefined,
): number | undefined {
  let [sum, count] = [0, 0];
  for (const { item, weight } of neighbours) {
    const value = valueOf(item);
    if (value === undefined) continue;
    sum += value * weight;
    count += weight;
  }
  return count === 0 ? undefined : sum / count;
}

interface Neighbour {
  readonly item: Item;
  readonly weight: number;
}

type Neighbours = ReadonlyMap<Item, readonly Neighbour[]>;

function neighboursOf(links: readonly Link[]): Neighbours {
  const neighbours = new Map<Item, Neighbour[]>();
  const add = (item: Item, neighbour: Neighbour): void => {
    const known = neighbours.get(item);
    if (known === undefined) neighbours.set(item, [neighbour]);
    else known.push(neighbour);
  };
  for (const { from, to, weight } of links) {
    add(from, { item: to, weight });
    add(to, { item: from, weight });
  }
  return neighbours;
}
