import { expect, test } from "vitest";
import { lowerOps } from "../../../../src/sandbox/builtin/lower-ops.ts";
import type { Op } from "../../../../src/sandbox/builtin/ops.ts";
import type { Call } from "../../../../src/sandbox/builtin/program.ts";

const newPid = 0x20000000;
const newNet = 0x40000000;
const pidfdFlag = 0x1000;
const sigchld = 17;

/** All calls of a program. */
function flattenCalls(calls: readonly Call[]): readonly Call[] {
  return calls.flatMap((call) => [
    call,
    ...flattenCalls([...(call.loop?.before ?? []), ...(call.child ?? [])]),
  ]);
}

function namesOf(calls: readonly Call[]): readonly string[] {
  return calls.map((call) => call.name);
}

test("call numbers are unique over all processes and lead to their ops", () => {
  const inner: Op = { type: "setsid" };
  const ops: readonly Op[] = [
    { type: "umask", mask: 0o22 },
    { type: "fork", namespaces: ["pid"], child: [inner, { type: "exit" }] },
    { type: "wait-child", report: true },
  ];
  const { calls, origins } = lowerOps(ops);
  const all = flattenCalls(calls);
  expect(all.map((call) => call.id).sort((a, b) => a - b)).toEqual(origins.map((_, id) => id));
  expect(all.map((call) => origins[call.id]?.syscall)).toEqual(namesOf(all));
  expect(all.filter((call) => call.name === "setsid").map(({ id }) => origins[id]?.op)).toEqual([
    inner,
  ]);
});

test("descriptors are numbered as the kernel does it, until all are closed", () => {
  const openTree: Op = {
    type: "open-tree",
    source: "/s",
    recursive: false,
    attributes: 0,
    as: "s",
  };
  const { calls, descriptors } = lowerOps([
    { type: "close-descriptors", kept: 0 },
    { type: "pipe", name: "stdout" },
    { type: "pipe", name: "stderr" },
    { type: "mount", filesystem: "tmpfs", options: [], attributes: 0, target: "/t", follow: false },
    openTree,
    { type: "attach", from: "s", target: "/u", follow: true },
    openTree,
  ]);
  expect([...descriptors]).toEqual([
    ["stdout read", 4],
    ["stdout write", 5],
    ["stderr read", 6],
    ["stderr write", 7],
    // 8, 9 and 10 are the filesystem, its mount and the mount's target; 11 and 12 the first tree and its target.
    ["s", 13],
  ]);
  const moves = calls.filter((call) => call.name === "move_mount");
  expect(moves.map((call) => [call.args[0], call.args[2]])).toEqual([
    [9, 10],
    [11, 12],
  ]);
  const closed = lowerOps([openTree, { type: "close-descriptors", kept: 0 }, openTree]);
  expect([...closed.descriptors]).toEqual([["s", 4]]);
  const kept = lowerOps([{ type: "close-descriptors", kept: 2 }, openTree]);
  expect([...kept.descriptors]).toEqual([["s", 6]]);
});

test("a child knows what its parent held, and what it holds itself is its own", () => {
  const { calls, descriptors } = lowerOps([
    { type: "pipe", name: "stdout" },
    {
      type: "fork",
      namespaces: ["pid", "net"],
      pidfd: "child",
      child: [
        { type: "use-as-stdio", from: "stdout write", fd: 1 },
        { type: "open-tree", source: "/s", recursive: false, attributes: 0, as: "s" },
      ],
    },
  ]);
  expect(descriptors.get("child")).toBe(6);
  expect(descriptors.has("s")).toBe(false);
  const fork = calls.find((call) => call.name === "clone");
  expect(fork?.args[0]).toBe(newPid + newNet + pidfdFlag + sigchld);
  expect(fork?.child?.map((call) => [call.name, call.args[0]])).toEqual([
    ["dup3", 5],
    ["open_tree", -100],
  ]);
});

test("a descriptor that nobody holds is a fault of the plan", () => {
  expect(() => lowerOps([{ type: "kill", pidfd: "nobody" }])).toThrow();
});

test("the search for a program ends with the last path only", () => {
  const { calls } = lowerOps([
    { type: "exec", paths: ["/a/x", "/b/x", "/c/x"], argv: ["x"], env: [] },
  ]);
  expect(calls.map((call) => call.onError.type)).toEqual(["note", "note", "fail"]);
});

test("every capability that is not kept leaves the bounding set, up to the last that the kernel knows", () => {
  const { calls } = lowerOps([{ type: "bound-capabilities", keep: 0b1010n, last: 4 }]);
  const dropped = calls.filter((call) => call.args[0] === 24).map((call) => call.args[1]);
  expect(dropped).toEqual([0, 2, 4]);
});

test("each layer of an overlay is named by the working directory", () => {
  const { calls } = lowerOps([
    {
      type: "open-overlay",
      lower: ["/a:b", "/c,d"],
      writable: { upper: "/u", work: "/w" },
      interface: "layers",
      attributes: 0,
      as: "root",
    },
  ]);
  expect(calls.filter((call) => call.name === "chdir")).toHaveLength(5);
  expect(namesOf(calls)).not.toContain("mount");
});
