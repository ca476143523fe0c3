import { createHash } from "node:crypto";
import type { TreeNode, Tree } from "./flatten.ts";
import type { HistoryEntry, Image } from "./image.ts";

/** One place where two images are not the same; both sides as a reader wants to see them. */
export interface Difference {
  /** `config.Env`, `history[3] created_by`, `tree /app/a mode`. */
  readonly at: string;
  readonly reference: string;
  readonly tsbuild: string;
  /** What a reader wants to know besides; no part of the difference. */
  readonly told?: string;
}

/** What the reference is a judge of, and what the clock says. */
export interface CompareOptions {
  /** Seconds: what is younger was written by the build and counts as `now`. */
  readonly builtAfter: number;
  /** Parts of an image that are compared; a builder that is not BuildKit writes its own history. */
  readonly parts: readonly Part[];
  /** Fields of the config document that the reference writes for itself. */
  readonly ignoredFields: readonly string[];
}

export type Part = "config" | "history" | "tree";

/** Described images: place → text. */
type Description = ReadonlyMap<string, string>;

const absent = "absent";

/** All differences, by place. Empty values of a config count as absent: whether they are written is up to the builder. */
export function compareImages(
  images: { readonly reference: Image; readonly tsbuild: Image },
  options: CompareOptions,
): Difference[] {
  const reference = describe(images.reference, options);
  const tsbuild = describe(images.tsbuild, options);
  const places = [...new Set([...reference.keys(), ...tsbuild.keys()])].sort();
  return places
    .map((at) => ({
      at,
      reference: reference.get(at) ?? absent,
      tsbuild: tsbuild.get(at) ?? absent,
    }))
    .filter((found) => found.reference !== found.tsbuild)
    .filter(({ at }, _, all) => !all.some((other) => isFieldOfMissing(at, other)));
}

/** A file that one side lacks is one difference, not one for each of its looks. */
function isFieldOfMissing(at: string, other: Difference): boolean {
  const isWhole = other.at.endsWith(" type") && at !== other.at;
  const path = other.at.slice(0, -"type".length);
  return isWhole && at.startsWith(path) && !at.slice(path.length).includes("/");
}

function describe(image: Image, options: CompareOptions): Description {
  const lines = new Map<string, string>();
  if (options.parts.includes("config")) describeConfig(lines, { image, options });
  if (options.parts.includes("history")) describeHistory(lines, { image, options });
  if (options.parts.includes("tree")) {
    // A layer need not name the root of the tree.
    const tree = new Map([["/", impliedRoot], ...image.tree]);
    describeTree(lines, { tree, options });
  }
  return lines;
}

const impliedRoot: TreeNode = {
  type: "directory",
  mode: 0o755,
  uid: 0,
  gid: 0,
  mtime: 0,
  target: "",
  device: "",
  xattrs: new Map(),
  content: Buffer.alloc(0),
};

type Lines = Map<string, string>;

function describeConfig(
  lines: Lines,
  { image, options }: { readonly image: Image; readonly options: CompareOptions },
): void {
  const { config = {}, history, rootfs, created, ...rest } = image.config;
  for (const [field, value] of Object.entries(rest)) put(field, value);
  for (const [field, value] of Object.entries(config)) put(`config.${field}`, value);
  if (!options.parts.includes("history")) return;
  lines.set("rootfs", `${rootfs.type}, ${String(rootfs.diff_ids.length)} layers`);
  lines.set("created", timeOf(created, options));
  const last = history?.at(-1)?.created;
  lines.set("created is that of the last step", String(created === last));

  function put(field: string, value: unknown): void {
    if (options.ignoredFields.includes(field) || isEmpty(value)) return;
    lines.set(field, JSON.stringify(sortKeys(value)));
  }
}

function describeHistory(
  lines: Lines,
  { image, options }: { readonly image: Image; readonly options: CompareOptions },
): void {
  for (const [index, entry] of (image.config.history ?? []).entries()) {
    const { created, ...rest } = entry;
    const at = `history[${String(index).padStart(2, "0")}]`;
    lines.set(`${at} created`, timeOf(created, options));
    for (const [field, value] of Object.entries(rest as HistoryEntry)) {
      if (!isEmpty(value)) lines.set(`${at} ${field}`, String(value));
    }
  }
}

function timeOf(created: string | undefined, { builtAfter }: CompareOptions): string {
  if (created === undefined) return "none";
  return Date.parse(created) / 1000 >= builtAfter ? "now" : new Date(created).toISOString();
}

function describeTree(
  lines: Lines,
  { tree, options }: { readonly tree: Tree; readonly options: CompareOptions },
): void {
  const links = new Map<TreeNode, string[]>();
  for (const [path, node] of tree) links.set(node, [...(links.get(node) ?? []), path]);
  for (const [path, node] of tree) {
    const set = (field: string, value: string): void => {
      if (value !== "") lines.set(`tree ${path} ${field}`, value);
    };
    set("type", node.type);
    // Nobody can set a symlink's mode, and Linux says 0777 for all of them.
    if (node.type !== "symlink") set("mode", node.mode.toString(8).padStart(4, "0"));
    set("owner", `${String(node.uid)}:${String(node.gid)}`);
    set("target", node.target);
    set("device", node.device);
    if (node.type === "file") set("content", contentOf(node.content));
    const field = node.type === "directory" ? "folder mtime" : "mtime";
    set(field, node.mtime >= options.builtAfter ? "now" : String(Math.floor(node.mtime)));
    set("xattrs", xattrsOf(node));
    const names = links.get(node) ?? [];
    if (names.length > 1) set("hard links", names.sort().join(" = "));
  }
}

function contentOf(content: Buffer): string {
  const text = content.toString("utf8");
  if (content.length <= 200 && Buffer.from(text).equals(content)) return JSON.stringify(text);
  const digest = createHash("sha256").update(content).digest("hex");
  return `${String(content.length)} bytes, sha256:${digest.slice(0, 16)}`;
}

function xattrsOf({ xattrs }: TreeNode): string {
  return [...xattrs]
    .map(([name, hex]) => `${name}=${hex}`)
    .sort()
    .join(" ");
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === "" || value === false) return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, inner]) => [key, sortKeys(inner)] as const);
  return Object.fromEntries(entries.sort(([one], [other]) => (one < other ? -1 : 1)));
}
