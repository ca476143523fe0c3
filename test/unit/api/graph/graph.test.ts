import { describe, expect, test } from "vitest";
import { drawDot } from "../../../../src/api/graph/draw-dot.ts";
import { drawMermaid } from "../../../../src/api/graph/draw-mermaid.ts";
import { drawSvg } from "../../../../src/api/graph/draw-svg.ts";
import { fitText } from "../../../../src/api/graph/fit-text.ts";
import { layOut } from "../../../../src/api/graph/layout.ts";
import { makeGraph } from "../../../../src/api/graph/make-graph.ts";
import type { BuildGraph, GraphEdge, GraphNode } from "../../../../src/api/graph/types.ts";
import type { BuildRecord } from "../../../../src/cache/index.ts";
import { parseDockerfile } from "../../../../src/dockerfile/index.ts";
import { planBuild, type Plan, type PlanOptions } from "../../../../src/plan/index.ts";
import { createFakeBases } from "../../../support/fake-bases.ts";
import { pseudoRandom } from "../../../support/random.ts";

const amd64 = { os: "linux", architecture: "amd64" };
const arm64 = { os: "linux", architecture: "arm64" };

function plan(text: string, options: Partial<PlanOptions> = {}): Promise<Plan> {
  return planBuild(parseDockerfile(text, { file: "Dockerfile" }), {
    buildArgs: new Map(),
    platforms: [amd64],
    buildPlatform: amd64,
    resolveBase: createFakeBases().resolveBase,
    ...options,
  });
}

const twoStages = `FROM debian:12 AS build
WORKDIR /src
COPY package.json src/*.ts ./
RUN --mount=type=bind,source=tools,target=/tools make
FROM node:22
COPY --link --from=build /src/out /app
CMD ["node"]
`;

/** What a graph says, in lines. */
function tell({ stages, nodes, edges }: BuildGraph): readonly string[] {
  const nameOf = (id: number): string => nodes.find((node) => node.id === id)?.title ?? "nobody";
  return [
    ...nodes.map(({ kind, title, stage, step = "-" }) => {
      const where = stages.find(({ id }) => id === stage)?.title ?? "-";
      return `${where} ${step} ${kind}: ${title}`;
    }),
    ...edges.map(
      ({ from, to, kind, reads = [] }) =>
        `${nameOf(from)} -${kind}${reads.length === 0 ? "" : ` ${reads.join(",")}`}-> ${nameOf(to)}`,
    ),
  ];
}

describe("the graph of a plan", () => {
  test("has stages, steps, sources, results, and who reads what of whom", async () => {
    expect(tell(makeGraph(await plan(twoStages), undefined))).toMatchInlineSnapshot(`
      [
        "build 1/4 image: FROM docker.io/library/debian:12",
        "build 2/4 workdir: WORKDIR /src",
        "- - source: build context",
        "build 3/4 copy: COPY package.json src/*.ts ./",
        "- - copy: load /tools of the build context for mounts",
        "build 4/4 run: RUN --mount=type=bind,source=tools,target=/tools make",
        "stage-1 1/2 image: FROM docker.io/library/node:22",
        "stage-1 2/2 copy: COPY --link --from=build /src/out /app",
        "stage-1 - result: image",
        "FROM docker.io/library/debian:12 -base-> WORKDIR /src",
        "WORKDIR /src -base-> COPY package.json src/*.ts ./",
        "build context -files package.json,src/*.ts-> COPY package.json src/*.ts ./",
        "build context -files /tools-> load /tools of the build context for mounts",
        "COPY package.json src/*.ts ./ -base-> RUN --mount=type=bind,source=tools,target=/tools make",
        "load /tools of the build context for mounts -files /mount-> RUN --mount=type=bind,source=tools,target=/tools make",
        "FROM docker.io/library/node:22 -base-> COPY --link --from=build /src/out /app",
        "RUN --mount=type=bind,source=tools,target=/tools make -files src/out-> COPY --link --from=build /src/out /app",
        "COPY --link --from=build /src/out /app -base-> image",
      ]
    `);
  });

  test("a lone stage has its name, and one for each platform", async () => {
    const lone = makeGraph(await plan("FROM debian:12\nRUN a\n"), undefined);
    expect(lone.stages).toEqual([{ id: 0, title: "stage-0" }]);
    expect(lone.nodes.map(({ stage }) => stage)).toEqual([0, 0, 0]);
    const both = makeGraph(
      await plan("FROM debian:12 AS x\nRUN a\n", { platforms: [amd64, arm64] }),
      undefined,
    );
    expect(both.stages.map(({ title }) => title)).toEqual(["linux/amd64", "linux/arm64"]);
  });

  test("takes outcomes and times from the last build; a copy with --link is one step", async () => {
    const planned = await plan(twoStages);
    const steps = planned.vertices.map(({ name, inputs, op }) => ({
      name,
      inputs,
      ...(["exec", "copy", "mkdir", "merge"].includes(op.type)
        ? { outcome: op.type === "copy" ? ("ran" as const) : ("cached" as const), durationMs: 5 }
        : {}),
    }));
    const last: BuildRecord = { steps, finished: "2026-11-21T10:00:00.000Z" };
    const told = (graph: BuildGraph): readonly string[] =>
      graph.nodes.flatMap(({ title, outcome }) =>
        outcome === undefined ? [] : [`${outcome} ${title.split(" ")[0] ?? ""}`],
      );
    const graph = makeGraph(planned, last);
    expect(told(graph)).toContain("ran COPY");
    expect(told(graph)).toContain("cached WORKDIR");
    expect(graph.nodes.filter(({ title }) => title.startsWith("COPY --link"))).toHaveLength(1);
    expect(graph.nodes.find(({ title }) => title.startsWith("COPY --link"))?.outcome).toBe("ran");
    const changed = makeGraph(await plan(twoStages.replace("make", "make all")), last);
    expect(told(changed)).not.toContain("cached RUN");
    expect(told(changed)).toContain("cached WORKDIR");
  });
});

/** Stages that read of any that came before, steps with long and strange texts. */
function randomGraph(seed: number, steps: number): BuildGraph {
  const random = pseudoRandom(seed);
  const pick = (below: number): number => Math.floor(random() * below);
  const nodes: GraphNode[] = [];
  const edges: BuildGraph["edges"][number][] = [];
  const stages = Array.from({ length: 1 + pick(steps / 4) }, (_, id) => ({
    id,
    title: `stage-${String(id)}`,
  }));
  for (let id = 0; id < steps; id++) {
    const stage = Math.floor((id / steps) * stages.length);
    const title = [
      "RUN ",
      '"<&\\\u0007',
      "测试".repeat(pick(30)),
      "x".repeat(pick(200)),
      " y z".repeat(pick(20)),
    ].join("");
    nodes.push({ id, kind: "run", title, stage });
    if (id > 0 && nodes[id - 1]?.stage === stage)
      edges.push({ from: id - 1, to: id, kind: "base" });
    if (id > 0 && random() < 0.4)
      edges.push({ from: pick(id), to: id, kind: "files", reads: ["a"] });
  }
  return { stages, nodes, edges, lastBuild: undefined };
}

interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

function overlap(a: Rectangle, b: Rectangle): boolean {
  const apart = a.x + a.width <= b.x || b.x + b.width <= a.x;
  return !apart && !(a.y + a.height <= b.y || b.y + b.height <= a.y);
}

describe("the layout", () => {
  test.each([1, 2, 3, 4, 5, 6])(
    "nothing lies over anything, all reads go to the right: graph %i",
    (seed) => {
      const graph = randomGraph(seed, 20 * seed);
      const layout = layOut(graph, () => 60);
      for (const [index, block] of layout.blocks.entries()) {
        expect(block.x).toBeGreaterThanOrEqual(0);
        expect(block.y).toBeGreaterThanOrEqual(0);
        expect(block.x + block.width).toBeLessThanOrEqual(layout.width);
        expect(block.y + block.height).toBeLessThanOrEqual(layout.height);
        for (const other of layout.blocks.slice(index + 1))
          expect(overlap(block, other)).toBe(false);
      }
      for (const [index, node] of layout.nodes.entries()) {
        for (const other of layout.nodes.slice(index + 1)) expect(overlap(node, other)).toBe(false);
      }
      expect(layout.edges).toHaveLength(graph.edges.length);
      for (const { points, isInside } of layout.edges) {
        if (isInside) continue;
        const xs = points.map(({ x }) => x);
        expect(xs).toEqual([...xs].sort((a, b) => a - b));
        // Beside every stage that it passes, through none.
        for (const [index, point] of points.entries()) {
          if (index === 0 || index === points.length - 1) continue;
          const inside = layout.blocks.find(
            ({ x, y, width, height }) =>
              point.x > x && point.x < x + width && point.y > y && point.y < y + height,
          );
          expect(inside).toBeUndefined();
        }
      }
    },
  );

  test("lines that many stages share are there once", () => {
    const count = 200;
    const nodes: GraphNode[] = [{ id: count, kind: "source", title: "build context" }];
    const edges: GraphEdge[] = [];
    for (let id = 0; id < count; id++) {
      nodes.push({ id, kind: "copy", title: "COPY", stage: id });
      edges.push({ from: count, to: id, kind: "files", reads: ["a"] });
      if (id > 0) edges.push({ from: id - 1, to: id, kind: "base" });
    }
    const stages = Array.from({ length: count }, (_, id) => ({ id, title: `stage-${String(id)}` }));
    const layout = layOut({ stages, nodes, edges, lastBuild: undefined }, () => 60);
    expect(layout.edges.flatMap(({ points }) => points).length).toBeLessThan(6 * edges.length);
    // Each line ends at its reader, and begins where another one is: at a node, or at a point of one before it.
    const seen = new Set<string>();
    for (const { points, edge } of layout.edges) {
      const texts = points.map(({ x, y }) => `${String(x)} ${String(y)}`);
      const source = layout.nodes.find(({ node }) => node.id === edge.from);
      const isAtNode = points[0]?.x === (source?.x ?? 0) + (source?.width ?? 0);
      expect(isAtNode || seen.has(texts[0] ?? "")).toBe(true);
      for (const text of texts) seen.add(text);
    }
  });

  test("nothing at all", () => {
    expect(drawSvg({ stages: [], nodes: [], edges: [], lastBuild: undefined })).toContain("</svg>");
  });
});

describe("text", () => {
  test("is broken at blanks, cut with an ellipsis, and counts wide characters twice", () => {
    expect(fitText("a b", { width: 10 })).toEqual(["a b"]);
    expect(fitText("RUN apt-get update", { width: 12, most: 2 })).toEqual([
      "RUN apt-get",
      "update",
    ]);
    expect(fitText("abcdefghijkl", { width: 5, most: 2 })).toEqual(["abcde", "fghi…"]);
    expect(fitText("测试测试测试", { width: 6 })).toEqual(["测试…"]);
    expect(fitText("a\u0000\n\u001b[31mb", { width: 20 })).toEqual(["a [31mb"]);
    expect(fitText("", { width: 5 })).toEqual([]);
  });

  test("never overflows its line", () => {
    for (const { title } of randomGraph(9, 100).nodes) {
      for (const line of fitText(title, { width: 30, most: 3 })) {
        const columns = Array.from(line, (each) => (each > "\u2fff" ? 2 : 1)).reduce<number>(
          (a, b) => a + b,
          0,
        );
        expect(columns).toBeLessThanOrEqual(30);
      }
    }
  });
});

describe("every format takes any text", () => {
  const graph: BuildGraph = {
    stages: [{ id: 0, title: 'a "b" <c>' }],
    nodes: [
      {
        id: 0,
        kind: "run",
        stage: 0,
        title: 'RUN echo "a" <b> & \\n \\ # ; ]] --> `x` %%',
        outcome: "ran",
      },
      { id: 1, kind: "source", title: "build context" },
    ],
    edges: [{ from: 1, to: 0, kind: "files", reads: ['"x" | y'] }],
    lastBuild: "2026-11-21T10:00:00.000Z",
  };

  test("SVG", () => {
    const svg = drawSvg(graph);
    expect(svg).toContain("RUN echo &quot;a&quot; &lt;b&gt; &amp; \\n");
    expect(svg).toContain("prefers-color-scheme: dark");
    expect(svg).not.toMatch(/<script|href=|url\((?!#)/);
  });

  test("dot", () => {
    const dot = drawDot(graph);
    expect(dot).toContain('label="a \\"b\\" <c>";');
    expect(dot).toContain('RUN echo \\"a\\" <b> & \\\\n \\\\');
    expect(dot).toContain('n1 -> n0 [style=dashed, label="\\"x\\" | y"];');
  });

  test("Mermaid", () => {
    const mermaid = drawMermaid(graph);
    expect(mermaid).toContain('subgraph s0["a #34;b#34; #60;c#62;"]');
    expect(mermaid).toContain(":::ran");
    // Inside of quotes stands nothing that ends them or means something.
    const labels = mermaid.match(/\["(.*)"\]/g) ?? [];
    for (const label of labels)
      expect(label.slice(2, -2).replaceAll("<br/>", "")).not.toMatch(/["<>`\\|%]/);
  });
});
