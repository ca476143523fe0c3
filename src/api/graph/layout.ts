import { orderColumns, placeColumns, type Item, type Link } from "./place-items.ts";
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
  /**
   * From node to node: straight down inside of a stage, otherwise from left to right through these points. Where another
   * edge of its kind comes from the same node, what they share is that one's: this begins where they part.
   */
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
  const links = linksOf(routes);
  orderColumns(columns, links);
  placeColumns(columns, { links, gap: gapBetween });
  const lefts = placeLefts(columns, routes);
  const indexOf = new Map(blocks.flatMap(({ nodes }) => nodes.map(({ id }, at) => [id, at])));
  const topOf = (id: number): number => {
    const block = blockOf.get(id);
    return (block?.y ?? 0) + (block?.tops[indexOf.get(id) ?? -1] ?? 0);
  };
  const heights = new Map(graph.nodes.map((node) => [node.id, heightOf(node)]));
  const middleOf = (id: number): number => topOf(id) + (heights.get(id) ?? 0) / 2;
  const leftOf = (item: Item): number => lefts[item.column] ?? 0;
  return {
    width: (lefts.at(-1) ?? 0) + blockWidth,
    height: columns.flat().reduce((most, { y, height }) => Math.max(most, y + height), 0),
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
    edges: routes.map((route) => placeEdge(route, { leftOf, topOf, middleOf, heights, indexOf })),
  };
}

function makeBlocks(
  { stages, nodes }: BuildGraph,
  heightOf: (node: GraphNode) => number,
): readonly Block[] {
  const byStage = new Map<number | undefined, GraphNode[]>();
  for (const node of nodes) {
    const known = byStage.get(node.stage);
    if (known === undefined) byStage.set(node.stage, [node]);
    else known.push(node);
  }
  return [
    ...stages.map(({ id, title }) => makeBlock(byStage.get(id) ?? [], { title, heightOf })),
    ...(byStage.get(undefined) ?? []).map((node) => makeBlock([node], { heightOf })),
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

/**
 * An edge and all that it touches: its blocks, and a place for it in every column between, the first `passes` of its
 * trunk. Only so a picture of many stages stays small: the build context alone has lines to all of them.
 */
interface Route {
  readonly edge: GraphEdge;
  readonly source: Item;
  readonly user: Item;
  readonly trunk: Trunk;
  readonly passes: number;
}

/** Where the lines of one node pass together, column by column. */
interface Trunk {
  readonly passes: Item[];
  /** How many of them are drawn, by kind of edge. */
  readonly drawn: Map<GraphEdge["kind"], number>;
}

function routeEdges(
  edges: readonly GraphEdge[],
  place: { readonly blockOf: ReadonlyMap<number, Block>; readonly columns: Item[][] },
): readonly Route[] {
  const { blockOf, columns } = place;
  const trunks = new Map<number, Trunk>();
  return edges.flatMap((edge) => {
    const [source, user] = [blockOf.get(edge.from), blockOf.get(edge.to)];
    if (source === undefined || user === undefined) return [];
    const trunk: Trunk = trunks.get(edge.from) ?? { passes: [], drawn: new Map() };
    trunks.set(edge.from, trunk);
    const passes = source === user ? 0 : user.column - source.column - 1;
    for (let at = trunk.passes.length; at < passes; at++) {
      const pass = { column: source.column + 1 + at, y: 0, height: 2 };
      trunk.passes.push(pass);
      columns[pass.column]?.push(pass);
    }
    return [{ edge, source, user, trunk, passes }];
  });
}

/** Each part of a trunk once, with the weight of all lines that it carries. */
function linksOf(routes: readonly Route[]): readonly Link[] {
  const links: Link[] = [];
  /** How many lines leave each trunk behind so many passes. */
  const ends = new Map<Trunk, { readonly source: Item; readonly counts: number[] }>();
  for (const { source, user, trunk, passes } of routes) {
    if (source === user) continue;
    links.push({ from: trunk.passes[passes - 1] ?? source, to: user, weight: 1 });
    const known = ends.get(trunk) ?? { source, counts: [] };
    known.counts[passes] = (known.counts[passes] ?? 0) + 1;
    ends.set(trunk, known);
  }
  for (const [{ passes }, { source, counts }] of ends) {
    let weight = 0;
    for (let at = passes.length - 1; at >= 0; at--) {
      weight += counts[at + 1] ?? 0;
      const to = passes[at];
      if (to !== undefined) links.push({ from: passes[at - 1] ?? source, to, weight });
    }
  }
  return links;
}

function placeLefts(columns: readonly Item[][], routes: readonly Route[]): readonly number[] {
  /** How many lines more, or fewer, there are behind a column than before it. */
  const changes = columns.map(() => 0);
  for (const { source, user } of routes) {
    if (source === user) continue;
    changes[source.column] = (changes[source.column] ?? 0) + 1;
    changes[user.column] = (changes[user.column] ?? 0) - 1;
  }
  const lefts: number[] = [];
  let [left, crossing] = [0, 0];
  for (const change of changes) {
    lefts.push(left);
    crossing += change;
    left += blockWidth + Math.min(channel.least + channel.perEdge * crossing, channel.most);
  }
  return lefts;
}

function placeEdge(
  { edge, source, user, trunk, passes }: Route,
  place: {
    readonly leftOf: (item: Item) => number;
    readonly topOf: (id: number) => number;
    readonly middleOf: (id: number) => number;
    readonly heights: ReadonlyMap<number, number>;
    readonly indexOf: ReadonlyMap<number, number>;
  },
): PlacedEdge {
  const { leftOf, topOf, middleOf, heights, indexOf } = place;
  if (source === user) {
    const isNext = (indexOf.get(edge.to) ?? 0) - (indexOf.get(edge.from) ?? 0) === 1;
    const x = leftOf(source) + padding + nodeWidth / 2;
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
    const right = leftOf(source) + padding + nodeWidth;
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
  const through = (pass: Item) => [
    { x: leftOf(pass), y: pass.y + 1 },
    { x: leftOf(pass) + blockWidth, y: pass.y + 1 },
  ];
  const shared = Math.min(trunk.drawn.get(edge.kind) ?? 0, passes);
  trunk.drawn.set(edge.kind, Math.max(trunk.drawn.get(edge.kind) ?? 0, passes));
  const start = { x: leftOf(source) + padding + nodeWidth, y: middleOf(edge.from) };
  return {
    edge,
    points: [
      trunk.passes
        .slice(Math.max(shared - 1, 0), shared)
        .flatMap(through)
        .at(-1) ?? start,
      ...trunk.passes.slice(shared, passes).flatMap(through),
      { x: leftOf(user) + padding, y: middleOf(edge.to) },
    ],
    isInside: false,
  };
}
