import { describe, expect, test } from "vitest";
import { readFile } from "node:fs/promises";
import { helpText, readOptions } from "../../../bench/options.ts";
import { type Figures, judge } from "../../../bench/report/goals.ts";
import { drawPicture, escapeXml } from "../../../bench/report/picture.ts";
import { mergeResults, type RowResult, type Results } from "../../../bench/report/results.ts";
import { median } from "../../../bench/report/statistics.ts";
import { alignTable, markdownTable, replaceTable, tableOf } from "../../../bench/report/table.ts";
import { rows } from "../../../bench/rows/index.ts";

const figures: Figures = { tsbuild: 1, floor: 0.5, peakBytes: 150e6, units: 100, peers: [4, 2.5] };

function measured(name: string, seconds: number): RowResult {
  const contestant = { seconds, turns: [seconds], cpuSeconds: 0.1 };
  return {
    kind: "measured",
    name,
    what: `the row ${name}`,
    floorIs: "nothing",
    date: "2000-01-01T00:00",
    goals: [{ of: "peer", atMost: 0.5 }],
    contestants: [
      { name: "tsbuild", ...contestant, peakBytes: 64e6 },
      { name: "docker", ...contestant, seconds: seconds * 4 },
      { name: "floor", ...contestant, seconds: seconds / 2, peakBytes: 1e6 },
    ],
    refused: [],
  };
}

function results(...list: RowResult[]): Results {
  return { machine: "one core", engines: { tsbuild: "0.0.0", docker: "1.2.3" }, rows: list };
}

describe("median", () => {
  test("is the middle value, or the mean of the two in the middle", () => {
    expect(median([3, 1, 10])).toBe(3);
    expect(median([4, 1, 10, 2])).toBe(3);
    expect(() => median([])).toThrow("no values");
  });
});

describe("goals", () => {
  test("are judged against the faster peer, the floor, memory and another row", () => {
    const others = new Map([["small", { ...figures, tsbuild: 0.05, units: 10 }]]);
    const judged = judge(
      [
        { of: "peer", atMost: 0.4 },
        { of: "peer", atMost: 0.39 },
        { of: "floor", atMost: 1.9 },
        { of: "memory", atMost: 200e6 },
        { of: "row", row: "small", atMost: 1.25 },
      ],
      figures,
      others,
    );
    expect(judged.map(({ value, verdict }) => [value, verdict])).toEqual([
      [0.4, "met"],
      [0.4, "missed"],
      [2, "missed"],
      [150e6, "met"],
      [2, "missed"],
    ]);
  });

  test("are untold when there is nothing to compare with", () => {
    const alone: Figures = { tsbuild: 1, peakBytes: 1, peers: [] };
    const judged = judge(
      [
        { of: "peer", atMost: 1 },
        { of: "floor", atMost: 1 },
        { of: "row", row: "absent", atMost: 1 },
      ],
      alone,
    );
    expect(judged.map(({ verdict }) => verdict)).toEqual(["untold", "untold", "untold"]);
  });

  test("of a row name rows that exist and have units", () => {
    for (const row of rows) {
      for (const goal of row.goals) {
        if (goal.of !== "row") continue;
        expect(rows.find(({ name }) => name === goal.row)?.units).toBeGreaterThan(0);
      }
    }
    expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length);
  });
});

describe("table", () => {
  test("has ratios to each engine and the verdict, and dashes for what was not measured", () => {
    const skipped: RowResult = { kind: "skipped", name: "b", what: "b", why: "no net\nat all" };
    const cells = tableOf(results(measured("a", 1), skipped));
    expect(cells).toEqual([
      ["row", "tsbuild s", "CPU s", "peak MB", "docker s", "ratio", "floor s", "ratio", "goals"],
      ["a", "1.000", "0.10", "64", "4.000", "0.25", "0.500", "2.00", "peer ≤ 0.5: met"],
      ["b", "-", "-", "-", "-", "-", "-", "-", "skipped: no net"],
    ]);
    const lines = alignTable(cells).split("\n");
    expect(lines[1]?.indexOf("1.000")).toBe((lines[0]?.indexOf("tsbuild s") ?? 0) + 4);
    expect(markdownTable(cells).split("\n")[1]).toBe(
      "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    );
  });

  test("tells by how much a goal is missed, and memory only then", () => {
    const row = measured("a", 1);
    const heavy = { ...row, goals: [{ of: "memory", atMost: 50e6 }] } as RowResult;
    expect(tableOf(results(heavy))[1]?.at(-1)).toBe("memory ≤ 50 MB: **missed** (64 MB)");
  });
});

describe("results", () => {
  test("of a later run replace rows of the same name, in the order of the table", () => {
    const old = results(measured("b", 1), measured("a", 1));
    const merged = mergeResults(old, results(measured("b", 2)), ["a", "b", "c"]);
    expect(merged.rows).toEqual([measured("a", 1), measured("b", 2)]);
  });
});

describe("picture", () => {
  test("escapes text and leaves out rows without a peer", () => {
    expect(escapeXml(`<a b="c">&</a>`)).toBe("&lt;a b=&quot;c&quot;&gt;&amp;&lt;/a&gt;");
    const bars = [
      { label: "a <b> & c", figures },
      { label: "alone", figures: { ...figures, peers: [] } },
    ];
    const picture = drawPicture({ title: "x < y", captions: ["1 & 2"], bars });
    expect(picture).toContain(">a &lt;b&gt; &amp; c</text>");
    expect(picture).toContain(">0.40  (1.000 : 2.500 s)</text>");
    expect(picture).not.toContain("alone");
    expect(picture.match(/<rect class="bar"/g)).toHaveLength(1);
  });

  test("a bar that is slower than the peers ends at theirs, in another colour", () => {
    const slow = { ...figures, tsbuild: 10 };
    const picture = drawPicture({ title: "", captions: [], bars: [{ label: "x", figures: slow }] });
    const [peer, own] = [/class="peer".*? width="(.*?)"/, /class="slow".*? width="(.*?)"/].map(
      (pattern) => pattern.exec(picture)?.[1],
    );
    expect(own).toBe(peer);
  });
});

test("a table takes the place of the last one, and of nothing else", () => {
  const page = "# Before\n\n<!-- what npm run bench wrote -->\n<!-- end of it -->\n\nafter\n";
  const once = replaceTable(page, "| old |\n");
  expect(once).toContain("| old |");
  const twice = replaceTable(once, "| new |\n");
  expect(twice).toBe(replaceTable(page, "| new |\n"));
  expect(twice.endsWith("<!-- end of it -->\n\nafter\n")).toBe(true);
  expect(() => replaceTable("nothing", "| new |\n")).toThrow("no place for the table");
});

describe("options", () => {
  const names = ["copy-tree", "scale-1k", "scale-10k"];

  test("choose rows by name or beginning, and peers", () => {
    const { only, peers, runs } = readOptions(["--only", "scale-*,copy-tree"], names);
    expect({ only, peers, runs }).toEqual({
      only: ["scale-1k", "scale-10k", "copy-tree"],
      peers: undefined,
      runs: 5,
    });
    expect(readOptions(["--peers", "none"], names).peers).toEqual([]);
    expect(readOptions(["--hold", "flock /tmp/x"], names).hold).toEqual(["flock", "/tmp/x"]);
    expect(readOptions(["--docker", "/opt/docker"], names).docker).toBe("/opt/docker");
  });

  test("say what there is when a name is unknown, and refuse counts that are none", () => {
    expect(() => readOptions(["--only", "copy"], names)).toThrow("there are copy-tree, scale-1k");
    expect(() => readOptions(["--peers", "kaniko"], names)).toThrow("docker, buildah, podman");
    expect(() => readOptions(["--runs", "0"], names)).toThrow("not a count");
    expect(() => readOptions(["--report"], names)).toThrow("--json");
  });

  test("--help names the flags that the README tells, and the rows", async () => {
    const told = helpText(["copy-tree", "scale-1k"]);
    const page = await readFile("bench/README.md", "utf8");
    const inPage = [...page.matchAll(/^\| `(--[a-z]+)/gm)].map(([, flag]) => flag);
    const inHelp = [...told.matchAll(/^ {2}(--[a-z]+)/gm)].map(([, flag]) => flag);
    expect(inHelp).toEqual(inPage);
    expect(told).toContain("rows: copy-tree scale-1k");
    expect(readOptions(["--help"], []).help).toBe(true);
    expect(readOptions([], []).help).toBe(false);
  });
});
