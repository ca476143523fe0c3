import { expect, test } from "vitest";
import { FileDigests, selectionDigest, type FileDigest } from "../../../src/context/index.ts";
import { PathIndex } from "../../../src/context/path-index.ts";
import { formatCacheKey } from "../../../src/cache/key-file.ts";
import { FileFields, makeKey, opFields } from "../../../src/build/keys.ts";
import { digestOf, digestOfJson, type Digest } from "../../../src/core/index.ts";
import type { CopyOp, ExecOp, Op } from "../../../src/plan/index.ts";

const run: ExecOp = {
  type: "exec",
  argv: ["/bin/sh", "-c", "make"],
  env: ["PATH=/bin", "EMPTY=", "EQUALS=a=b"],
  uncachedEnv: [],
  cwd: "/app",
  user: "bob",
  network: "default",
  security: "sandbox",
  platform: { os: "linux", architecture: "arm64", variant: "v8" },
  mounts: [],
  scripts: [],
};

const copy: CopyOp = {
  type: "copy",
  instruction: "COPY",
  sources: [
    {
      type: "path",
      input: 1,
      pattern: "src/*",
      unpack: false,
      keepOwner: false,
      fromUrl: false,
    },
    { type: "inline", name: "motd", content: "hello\n" },
  ],
  destination: "/to/",
  link: false,
  parents: false,
  exclude: [],
};

function digestFor(op: Op, implicitTime = 0n): Digest {
  return makeKey("definition", [opFields(op, implicitTime)]).digest;
}

test("a key is its object, and its digest that of the object", () => {
  const fields = [{ name: "a", value: 1 }];
  const key = makeKey("content", [fields]);
  expect({ ...key.object, fields: [...key.object.fields] }).toEqual({
    version: 1,
    kind: "content",
    fields,
  });
  expect(key.digest).toBe(digestOfJson({ version: 1, kind: "content", fields }));
  expect(makeKey("definition", [fields]).digest).not.toBe(key.digest);
});

test("a RUN says its command first, then each variable, then its surroundings", () => {
  const withScript = { ...run, scripts: [{ name: "EOF", content: "#!/bin/sh\n" }] };
  expect(opFields(withScript, 0n)).toEqual([
    { name: "instruction", value: ["RUN", "/bin/sh", "-c", "make"] },
    { name: "script:EOF", value: digestOf("#!/bin/sh\n") },
    { name: "env.PATH", value: "/bin" },
    { name: "env.EMPTY", value: "" },
    { name: "env.EQUALS", value: "a=b" },
    { name: "cwd", value: "/app" },
    { name: "user", value: "bob" },
    { name: "network", value: "default" },
    { name: "security", value: "sandbox" },
    { name: "platform", value: "linux/arm64/v8" },
    { name: "mounts", value: [] },
  ]);
});

test.for<[string, Partial<ExecOp>]>([
  ["argv", { argv: ["/bin/sh", "-c", "make all"] }],
  ["env", { env: ["PATH=/bin", "EMPTY=x", "EQUALS=a=b"] }],
  ["the order of env", { env: ["EMPTY=", "PATH=/bin", "EQUALS=a=b"] }],
  ["cwd", { cwd: "/" }],
  ["user", { user: "" }],
  ["network", { network: "none" }],
  ["security", { security: "insecure" }],
  ["platform", { platform: { os: "linux", architecture: "amd64" } }],
  ["scripts", { scripts: [{ name: "EOF", content: "#!/bin/sh\nmake\n" }] }],
  ["mounts", { mounts: [{ type: "tmpfs", target: "/tmp", readOnly: false }] }],
])("another %s of RUN is another key", ([, change]) => {
  expect(digestFor({ ...run, ...change })).not.toBe(digestFor(run));
});

test("proxies are no part of a key", () => {
  expect(digestFor({ ...run, uncachedEnv: ["HTTP_PROXY=http://proxy.test"] })).toBe(digestFor(run));
});

test("a COPY says what it selects and how; contents of heredocs enter by digest [6.6]", () => {
  expect(opFields({ ...copy, chown: "1:2", chmod: "u=rw" }, 5n)).toEqual([
    {
      name: "instruction",
      value: [
        "COPY",
        { pattern: "src/*", unpack: false, keepOwner: false, fromUrl: false },
        { heredoc: "motd", digest: digestOf("hello\n") },
        "/to/",
      ],
    },
    { name: "chown", value: "1:2" },
    { name: "chmod", value: "u=rw" },
    { name: "link", value: false },
    { name: "parents", value: false },
    { name: "exclude", value: [] },
    { name: "time", value: "5" },
  ]);
});

test.for<[string, Partial<CopyOp>]>([
  ["instruction", { instruction: "ADD" }],
  ["destination", { destination: "/to" }],
  ["order of sources", { sources: copy.sources.toReversed() }],
  ["chown", { chown: "0:0" }],
  ["chmod", { chmod: "0644" }],
  ["link", { link: true }],
  ["parents", { parents: true }],
  ["exclude", { exclude: ["*.md"] }],
])("another %s of COPY is another key [6.6]", ([, change]) => {
  expect(digestFor({ ...copy, ...change })).not.toBe(digestFor(copy));
});

test("where a source stands among the inputs is no part of a key [6.6]", () => {
  const moved = copy.sources.map((source) =>
    source.type === "path" ? { ...source, input: 3 } : source,
  );
  expect(digestFor({ ...copy, sources: moved })).toBe(digestFor(copy));
});

test("the time of created directories is part of a COPY's and a WORKDIR's key [6.12]", () => {
  const mkdir: Op = { type: "mkdir", path: "/app", user: "" };
  expect(digestFor(mkdir, 1n)).not.toBe(digestFor(mkdir, 0n));
  expect(digestFor(copy, 1n)).not.toBe(digestFor(copy, 0n));
  expect(digestFor({ ...mkdir, user: "bob" })).not.toBe(digestFor(mkdir));
  expect(digestFor({ ...mkdir, path: "/srv" })).not.toBe(digestFor(mkdir));
});

test("a base is its image and platform, whatever it is called", () => {
  const base: Op = {
    type: "image",
    reference: "docker.io/library/a:1",
    platform: run.platform,
    imageId: digestOf("config"),
    chainId: undefined,
  };
  expect(digestFor({ ...base, reference: "docker.io/library/b:2" })).toBe(digestFor(base));
  expect(digestFor({ ...base, imageId: digestOf("another") })).not.toBe(digestFor(base));
});

const files = [
  { path: "src/a", digest: digestOf("a"), mode: 0o644 },
  { path: "src/b", digest: digestOf("b"), mode: 0o755 },
];

test("each file is a field of its own, with the source that selected it, and all have one digest", () => {
  expect([...new FileFields(2, files)]).toEqual([
    { name: "file:src/a", value: { source: 2, digest: digestOf("a"), mode: 0o644 } },
    { name: "file:src/b", value: { source: 2, digest: digestOf("b"), mode: 0o755 } },
    { name: "files.2", value: selectionDigest(files) },
  ]);
});

const oddNames = [
  "a",
  'say "no"',
  "back\\slash",
  "tab\t",
  "umläut",
  "日本",
  "\u007f",
  " ",
  "~",
  "a\u2028",
];

/** 2,500 files below two directories, whose paths have numbers, and a few that have none. */
function manyFiles(): { readonly digests: FileDigests; readonly files: readonly FileDigest[] } {
  const digests = new FileDigests();
  const paths = new PathIndex();
  const wanted: FileDigest[] = [];
  for (let count = 0; count < 2500; count++) {
    const name = `${oddNames[count % oddNames.length] ?? ""}-${String(count)}`;
    const file = { digest: digestOf(name), mode: 0o600 + (count % 64) };
    const prefix = count < 1300 ? "" : 'b "c"/';
    const bytes = Buffer.from(`/somewhere/${name}`).toString("latin1");
    const naming = { paths, cut: "/somewhere/".length, prefix };
    const isOwn = count % 500 === 7;
    const slot = isOwn
      ? digests.add({ path: name, mode: file.mode })
      : digests.addNumbered({ number: paths.add(bytes), mode: file.mode }, naming);
    digests.setDigest(slot, Buffer.from(file.digest.slice("sha256:".length), "hex"));
    wanted.push({ ...file, path: isOwn ? name : prefix + name });
  }
  return { digests, files: wanted };
}

test("files are the same fields, digest and lines, whether they are kept as bytes or as objects", () => {
  const { digests, files: wanted } = manyFiles();
  expect([...digests]).toEqual(wanted);
  expect(selectionDigest(digests)).toBe(selectionDigest(wanted));
  const instruction = { name: "instruction", value: ["COPY"] };
  const texts = [digests, wanted].flatMap((each) => {
    const { object } = makeKey("definition", [[instruction], new FileFields(3, each)]);
    const fields = [...object.fields];
    return [object, { ...object, fields }].map((key) => [...formatCacheKey(key)].join(""));
  });
  expect(new Set(texts).size).toBe(1);
  expect(texts[0]?.split("\n")).toHaveLength(2500 + 5);
  expect(JSON.parse(texts[0]?.split("\n")[3] ?? "")).toEqual({
    name: `file:${wanted[1]?.path ?? ""}`,
    value: { source: 3, digest: wanted[1]?.digest, mode: 0o601 },
  });
});

test.for<[string, () => FileFields]>([
  ["content", () => new FileFields(0, [{ path: "src/a", digest: digestOf("A"), mode: 0o644 }])],
  ["name", () => new FileFields(0, [{ path: "src/A", digest: digestOf("a"), mode: 0o644 }])],
  ["source", () => new FileFields(1, files.slice(0, 1))],
  ["number of files", () => new FileFields(0, files)],
  ["absence", () => new FileFields(0, [])],
])("another %s of a file is another key", ([, fields]) => {
  const before = makeKey("content", [new FileFields(0, files.slice(0, 1))]);
  expect(makeKey("content", [fields()]).digest).not.toBe(before.digest);
});
