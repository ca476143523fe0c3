import fc from "fast-check";
import { expect, test } from "vitest";
import { compareKeys } from "../../src/build/explain/compare-keys.ts";
import type { CacheKeyObject, KeyField } from "../../src/cache/index.ts";

interface File {
  readonly source: number;
  readonly path: string;
  readonly digest: string;
  readonly mode: number;
}

const name = fc.constantFrom("a", "b", "\\x80b", "a.b", "a-b", "ä", "\u{1f600}", "\uffee", "z");
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join("/"));
const file = fc.record({
  source: fc.constantFrom(0, 1),
  path: fc.oneof(path, fc.constant(".")),
  digest: fc.constantFrom("one", "two"),
  mode: fc.constantFrom(0o644, 0o755),
});
const idOf = ({ source, path: name }: File): string => `${String(source)} ${name}`;
const files = fc.uniqueArray(file, { selector: idOf, maxLength: 20 });

/** As a walk finds them: by source, a directory before its content, names in byte order. */
function walked(list: readonly File[]): readonly File[] {
  const parts = ({ path: name }: File): Buffer[] =>
    name === "."
      ? []
      : name
          .split("/")
          .map((part) =>
            Buffer.from(part.replace("\\x80", "\x80"), part.includes("\\x80") ? "latin1" : "utf8"),
          );
  return list.toSorted((a, b) => {
    if (a.source !== b.source) return a.source - b.source;
    const [left, right] = [parts(a), parts(b)];
    for (const [index, part] of left.entries()) {
      const other = right[index];
      if (other === undefined) return 1;
      const order = Buffer.compare(part, other);
      if (order !== 0) return order;
    }
    return left.length - right.length;
  });
}

function keyOf(list: readonly File[]): CacheKeyObject {
  const fields: KeyField[] = walked(list).map(({ source, path: name, digest, mode }) => ({
    name: `file:${name}`,
    value: { source, digest, mode },
  }));
  return {
    version: 1,
    kind: "definition",
    fields: [{ name: "instruction", value: "COPY" }, ...fields],
  };
}

test("files are compared as if both lists were in memory", async () => {
  await fc.assert(
    fc.asyncProperty(files, files, async (before, now) => {
      const { files: found, fields, inputs } = await compareKeys(keyOf(before), keyOf(now));
      expect([fields, inputs]).toEqual([[], []]);
      const [old, fresh] = [before, now].map(
        (list) => new Map(list.map((each) => [idOf(each), each])),
      );
      for (const source of [0, 1]) {
        const ids = new Set([...before, ...now].filter((each) => each.source === source).map(idOf));
        const expected = [...ids].flatMap((id) => {
          const [was, is] = [old?.get(id), fresh?.get(id)];
          if (was === undefined) return [[is?.path, "added"]];
          if (is === undefined) return [[was.path, "removed"]];
          if (was.digest === is.digest) return [];
          return [[is.path, was.mode === is.mode ? "content" : "mode"]];
        });
        const changes = found.get(source);
        expect(changes?.changed ?? 0).toBe(expected.length);
        for (const { path: changed, how } of changes?.files ?? [])
          expect(expected).toContainEqual([changed, how]);
        expect(changes?.files.length ?? 0).toBe(Math.min(10, expected.length));
        if (changes !== undefined)
          expect(changes.total).toBe(now.filter((each) => each.source === source).length);
      }
    }),
    { numRuns: 500 },
  );
});
