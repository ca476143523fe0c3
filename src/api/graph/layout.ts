import { orderColumns, placeColumns, type Item } from "./place-items.ts";
import type { BuildGraph, GraphEdge, GraphNode } from "./types.ts";

/** Lengths in pixels. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface PlacedNode extends Box {
  readonly node: GraphNode;
}

/** A stage with its nodes, or a node of no stage. */
export interface PlacedBlock extends Box {
  /** Absent for a node of no stage. */
  readonly title?: string;
}

export interface PlacedEdge {
  readonly edge: GraphEdge;
  /** From node to node: straight down inside of a stage, otherwise from left to right through these points. */
  readonly points: readonly { readonly x: number; readonly y: number }[];
  readonly isInside: boolean;
}

export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly blocks: readonly PlacedBlock[];
  readonly nodes: readonly PlacedNode[];
  readonly edges: readonly PlacedEdge[];
}

export const nodeWidth = 296;
const padding = 12;
const titleHeight = 26;
const gapInside = 18;
const gapBetween = 28;
const blockWidth = nodeWidth + 2 * padding;
/** Room for the lines between two columns: some, and more where many pass. */
const channel = { least: 56, perEdge: 3, most: 180 };

/** Nodes that stand below each other as one thing. */
interface Block extends Item {
  readonly title?: string;
  readonly nodes: readonly GraphNode[];
  readonly tops: readonly number[];
}

/**
 * Stages in columns from left to right, each right of all that it reads; the steps of a stage below each other. A line
 * over several columns passes each between two stages. Layered, in the manner of Sugiyama.
 */
export function layOut(graph: BuildGraph, heightOf: (node: GraphNode) => number): Layout {
  const blocks = makeBlocks(graph, heightOf);
  const blockOf = new Map(blocks.flatMap((block) => block.nodes.map(({ id }) => [id, block])));
  const columns = rankBlocks(blocks, graph.edges, blockOf);
  const routes = routeEdges(graph.edges, { blockOf, columns });
  const links = routes.flatMap(({ stops }) =>
    stops.slice(1).map((to, index) => ({ from: stops[index] ?? to, to })),
  );
  orderColumns(columns, links);
  placeColumns(columns, { links, gap: gapBetween });
  const lefts = placeLefts(columns, routes);
  const topOf = (id: number): number => {
    const block = blockOf.get(id);
    const index = block?.nodes.findIndex((node) => node.id === id) ?? -1;
    return (block?.y ?? 0) + (block?.tops[index] ?? 0);
  };
  const heights = new Map(graph.nodes.map((node) => [node.id, heightOf(node)]));
  const middleOf = (id: number): number => topOf(id) + (heights.get(id) ?? 0) / 2;
  const leftOf = (item: Item): number => lefts[item.column] ?? 0;
  return {
    width: (lefts.at(-1) ?? 0) + blockWidth,
    height: Math.max(0, ...columns.flat().map(({ y, height }) => y + height)),
    blocks: blocks.map((block) => ({
      x: leftOf(block),
      y: block.y,
      width: blockWidth,
      height: block.height,
      ...(block.title === undefined ? {} : { title: block.title }),
    })),
    nodes: blocks.flatMap((block) =>
      block.nodes.map((node, index) => ({
        node,
        x: leftOf(block) + padding,
        y: block.y + (block.tops[index] ?? 0),
        width: nodeWidth,
        height: heights.get(node.id) ?? 0,
      })),
    ),
    edges: routes.map((route) => placeEdge(route, { leftOf, topOf, middleOf, heights, blockOf })),
  };
}

function makeBlocks(
  { stages, nodes }: BuildGraph,
  heightOf: (node: GraphNode) => number,
): readonly Block[] {
  const loose = nodes.filter(({ stage }) => stage === undefined);
  return [
    ...stages.map(({ id, title }) =>
      makeBlock(
        nodes.filter(({ stage }) => stage === id),
        { title, heightOf },
      ),
    ),
    ...loose.map((node) => makeBlock([node], { heightOf })),
  ];
}

function makeBlock(
  nodes: readonly GraphNode[],
  { title, heightOf }: { readonly title?: string; readonly heightOf: (node: GraphNode) => number },
): Block {
  const tops: number[] = [];
  let bottom = title === undefined ? padding : titleHeight + padding / 2;
  for (const node of nodes) {
    tops.push(bottom);
    bottom += heightOf(node) + gapInside;
  }
  const height = bottom - gapInside + padding;
  return { nodes, tops, height, column: 0, y: 0, ...(title === undefined ? {} : { title }) };
}

/** Each block right of all that it reads; what reads nothing stands as near to its first reader as can be. */
function rankBlocks(
  blocks: readonly Block[],
  edges: readonly GraphEdge[],
  blockOf: ReadonlyMap<number, Block>,
): Item[][] {
  const users = new Map<Block, Set<Block>>(blocks.map((block) => [block, new Set()]));
  const inputs = new Map<Block, Set<Block>>(blocks.map((block) => [block, new Set()]));
  for (const { from, to } of edges) {
    const [source, user] = [blockOf.get(from), blockOf.get(to)];
    if (source === undefined || user === undefined || source === user) continue;
    users.get(source)?.add(user);
    inputs.get(user)?.add(source);
  }
  const ready = blocks.filter((block) => inputs.get(block)?.size === 0);
  const waiting = new Map(blocks.map((block) => [block, inputs.get(block)?.size ?? 0]));
  for (const block of ready) {
    for (const user of users.get(block) ?? []) {
      user.column = Math.max(user.column, block.column + 1);
      const left = (waiting.get(user) ?? 0) - 1;
      waiting.set(user, left);
      if (left === 0) ready.push(user);
    }
  }
  for (const block of blocks) {
    const columns = [...(users.get(block) ?? [])].map(({ column }) => column);
    if (inputs.get(block)?.size === 0 && columns.length > 0)
      block.column = Math.min(...columns) - 1;
  }
  const count = Math.max(0, ...blocks.map(({ column }) => column + 1));
  return Array.from({ length: count }, (_, column) =>
    blocks.filter((block) => block.column === column),
  );
}

/** An edge and all that it touches: its blocks, and a place for it in every column between. */
interface Route {
  readonly edge: GraphEdge;
  readonly stops: readonly Item[];
}

function routeEdges(
  edges: readonly GraphEdge[],
  place: { readonly blockOf: ReadonlyMap<number, Block>; readonly columns: Item[][] },
): readonly Route[] {
  const { blockOf, columns } = place;
  // All lines from one node to one column pass together.
  const passes = new Map<string, Item>();
  return edges.flatMap((edge) => {
    const [source, user] = [blockOf.get(edge.from), blockOf.get(edge.to)];
    if (source === undefined || user === undefined) return [];
    if (source === user) return [{ edge, stops: [source] }];
    const stops: Item[] = [source];
    for (let column = source.column + 1; column < user.column; column++) {
      const key = `${String(edge.from)} ${String(column)}`;
      let pass = passes.get(key);
      if (pass === undefined) {
        pass = { column, y: 0, height: 2 };
        passes.set(key, pass);
        columns[column]?.push(pass);
      }
      stops.push(pass);
    }
    return [{ edge, stops: [...stops, user] }];
  });
}

function placeLefts(columns: readonly Item[][], routes: readonly Route[]): readonly number[] {
  const lefts: number[] = [];
  let left = 0;
  for (const [column] of columns.entries()) {
    lefts.push(left);
    const crossing = routes.filter(({ stops }) =>
      stops.some((stop, index) => stop.column === column && index < stops.length - 1),
    );
    const room = channel.least + channel.perEdge * crossing.length;
    left += blockWidth + Math.min(room, channel.most);
  }
  return lefts;
}

function placeEdge(
  { edge, stops }: Route,
  place: {
    readonly leftOf: (item: Item) => number;
    readonly topOf: (id: number) => number;
    readonly middleOf: (id: number) => number;
    readonly heights: ReadonlyMap<number, number>;
    readonly blockOf: ReadonlyMap<number, Block>;
  },
): PlacedEdge {
  const { leftOf, topOf, middleOf, heights, blockOf } = place;
  const [first] = stops;
  const last = stops.at(-1);
  if (first === undefined || last === undefined) return { edge, points: [], isInside: true };
  if (first === last) {
    const ids = blockOf.get(edge.from)?.nodes.map(({ id }) => id) ?? [];
    const isNext = ids.indexOf(edge.to) - ids.indexOf(edge.from) === 1;
    const x = leftOf(first) + padding + nodeWidth / 2;
    const [from, to] = [topOf(edge.from) + (heights.get(edge.from) ?? 0), topOf(edge.to)];
    if (isNext)
      return {
        edge,
        points: [
          { x, y: from },
          { x, y: to },
        ],
        isInside: true,
      };
    const right = leftOf(first) + padding + nodeWidth;
    const beside = right + padding - 3;
    return {
      edge,
      points: [
        { x: right, y: middleOf(edge.from) },
        { x: beside, y: middleOf(edge.from) },
        { x: beside, y: middleOf(edge.to) },
        { x: right, y: middleOf(edge.to) },
      ],
      isInside: true,
    };
  }
  const passes = stops.slice(1, -1).flatMap((pass) => [
    { x: leftOf(pass), y: pass.y + 1 },
    { x: leftOf(pass) + blockWidth, y: pass.y + 1 },
  ]);
  return {
    edge,
    points: [
      { x: leftOf(first) + padding + nodeWidth, y: middleOf(edge.from) },
      ...passes,
      { x: leftOf(last) + padding, y: middleOf(edge.to) },
    ],
    isInside: false,
  };
}
