import { posix } from "node:path";
import type { SourceLocation } from "../core/index.ts";
import type { RunInstruction } from "../dockerfile/index.ts";
import { treeLayer } from "./context-vertices.ts";
import { planErrorAt } from "./errors.ts";
import { readMountFields, readMountSource, type MountFields } from "./mount-fields.ts";
import type { RuleScope } from "./rules/rule.ts";
import type { ExecMount, Op, VertexId } from "./types.ts";

export interface PlannedMounts {
  /** Sorted by target, so that parents come first; of two on one target the last one stays. */
  readonly mounts: readonly ExecMount[];
  /** Follow the root in the vertex' inputs. */
  readonly inputs: readonly VertexId[];
  /** Variables that carry secrets: their values are never shown. */
  readonly secretNames: ReadonlySet<string>;
  /** Where the first agent that the instruction names has its socket. */
  readonly agentSocket: string | undefined;
}

/**
 * The stage or image that each mount of a RUN reads from; undefined for the context, or for nothing.
 * @throws PLAN_MOUNT_INVALID when a name holds a variable
 */
export function mountSourceNames(instruction: RunInstruction): readonly (string | undefined)[] {
  return instruction.mounts.map((text) => {
    const name = readMountSource(text);
    if (name === undefined || !/\$./.test(name)) return name;
    throw planErrorAt(
      instruction.location,
      "PLAN_MOUNT_INVALID",
      `'from' doesn't support variable expansion, define alias stage instead: --mount=${text}`,
      "give the image a name in a stage of its own (FROM $IMAGE AS tools) and use that name",
    );
  });
}

type MountScope = Pick<
  RuleScope,
  "step" | "rootOf" | "contextVertex" | "expand" | "options" | "vertices"
>;

/** @throws PLAN_MOUNT_INVALID, DOCKERFILE_* */
export function planMounts(
  instruction: RunInstruction,
  { scope, cwd }: { readonly scope: MountScope; readonly cwd: string },
): PlannedMounts {
  const inputs: VertexId[] = [];
  const byPlace = new Map<string, ExecMount>();
  const secretNames = new Set<string>();
  let agents = 0;
  let agentSocket: string | undefined;
  for (const [index, text] of instruction.mounts.entries()) {
    const fields = readMountFields(text, { location: instruction.location, expand: scope.expand });
    const source = sourceOf(fields, { index, location: instruction.location }, scope);
    const input = source === undefined ? undefined : inputOf(source.vertex, inputs);
    const target = resolveTarget(fields, { text, instruction, cwd });
    const mount = toMount(fields, {
      target,
      input,
      source: source?.path ?? posix.resolve("/", fields.source),
      agent: agents,
      namespace: namespaceOf(scope),
    });
    if (mount.type === "ssh") {
      agents++;
      agentSocket ??= mount.target;
    }
    if (mount.type === "secret" && mount.env !== undefined) secretNames.add(mount.env);
    const place = placeOf(mount);
    byPlace.delete(place);
    byPlace.set(place, mount);
  }
  const sorted = [...byPlace].sort(([a], [b]) => (a < b ? -1 : 1));
  return { mounts: sorted.map(([, mount]) => mount), inputs, secretNames, agentSocket };
}

/** Where a mount's files come from: a vertex with layers, and the path in its root. */
interface MountSource {
  readonly vertex: VertexId;
  readonly path: string;
}

function sourceOf(
  { type, from, source }: MountFields,
  mount: { readonly index: number; readonly location: SourceLocation },
  scope: MountScope,
): MountSource | undefined {
  if (type !== "bind" && type !== "cache") return undefined;
  const path = posix.resolve("/", source);
  const named = scope.step.sources[mount.index];
  if (named !== undefined) return toLayers({ vertex: scope.rootOf(named), path }, mount, scope);
  if (type !== "bind" || from !== "") return undefined;
  return toLayers({ vertex: scope.contextVertex(), path }, mount, scope);
}

/** Where {@link toLayers} puts what it copies, a file or a directory. */
const copiedTo = "/mount";

/**
 * Mounts are layers. What a mount takes from a build context is copied into a layer of its own first, by a step that is
 * like any COPY: ignore rules, owners, and a key made of exactly these files.
 */
function toLayers(
  { vertex, path }: MountSource,
  { location }: { readonly location: SourceLocation },
  { vertices }: MountScope,
): MountSource {
  if (!isForeignTree(vertices.list()[vertex]?.op)) return { vertex, path };
  const copied = {
    // A plain path: nothing in it is a wildcard.
    pattern: path.replaceAll(/[\\*?[]/g, "\\$&"),
    destination: copiedTo,
    keepOwner: false,
    name: `[internal] load ${path} of the build context for mounts`,
  };
  const copy = treeLayer({ tree: vertex, ...copied, location }, vertices);
  return { vertex: copy, path: copiedTo };
}

/** Files that come from outside and are no layers. */
function isForeignTree(op: Op | undefined): boolean {
  return op?.type === "context" || op?.type === "git" || op?.type === "http";
}

/** Inputs of a step are its root, then these. */
function inputOf(vertex: VertexId, inputs: VertexId[]): number {
  const known = inputs.indexOf(vertex);
  return (known < 0 ? inputs.push(vertex) - 1 : known) + 1;
}

/** Absolute and clean; undefined where the mount has a place of its own. */
function resolveTarget(
  { type, target }: MountFields,
  {
    text,
    instruction,
    cwd,
  }: { readonly text: string; readonly instruction: RunInstruction; readonly cwd: string },
): string {
  if ((type === "secret" || type === "ssh") && target === "") return "";
  const resolved = posix.resolve(cwd, target);
  if (resolved !== "/") return resolved;
  throw planErrorAt(
    instruction.location,
    "PLAN_MOUNT_INVALID",
    `read --mount=${text}: invalid mount target "/"`,
    "a mount cannot hide the whole filesystem: give a target such as target=/src",
  );
}

function toMount(
  fields: MountFields,
  place: {
    readonly target: string;
    readonly input: number | undefined;
    readonly source: string;
    readonly agent: number;
    readonly namespace: string;
  },
): ExecMount {
  const { target, input, source } = place;
  const { readOnly, required, mode, uid, gid } = fields;
  switch (fields.type) {
    case "bind":
      return { type: "bind", target, input: input ?? 0, source, readOnly };
    case "tmpfs": {
      const { sizeBytes = 0 } = fields;
      return { type: "tmpfs", target, ...(sizeBytes === 0 ? {} : { sizeBytes }), readOnly };
    }
    case "cache":
      return {
        type: "cache",
        target,
        id: place.namespace + (fields.id === "" ? cleanPath(fields.target) : fields.id),
        sharing: fields.sharing ?? "shared",
        readOnly,
        ...(mode === undefined ? {} : { mode }),
        ...(uid === undefined ? {} : { uid }),
        ...(gid === undefined ? {} : { gid }),
        ...(input === undefined ? {} : { input }),
        source,
      };
    case "secret":
      return toSecret(fields, target);
    case "ssh":
      return {
        type: "ssh",
        target: target === "" ? `/run/buildkit/ssh_agent.${String(place.agent)}` : target,
        id: fields.id === "" ? "default" : fields.id,
        required,
        mode: mode ?? 0o600,
        uid: uid ?? 0,
        gid: gid ?? 0,
      };
  }
}

/** As Go's path.Clean: nothing is the working directory, and no slash ends it. */
function cleanPath(path: string): string {
  const clean = posix.normalize(path);
  return clean.length > 1 && clean.endsWith("/") ? clean.slice(0, -1) : clean;
}

/** A file, unless `env` alone is given. */
function toSecret(fields: MountFields, target: string): ExecMount {
  const id = fields.source || fields.id || posix.basename(fields.target);
  const { env, required, uid = 0, gid = 0, mode = 0o400 } = fields;
  const file = target === "" && env === undefined ? `/run/secrets/${posix.basename(id)}` : target;
  return {
    type: "secret",
    ...(file === "" ? {} : { target: file }),
    ...(env === undefined ? {} : { env: env === "" ? id : env }),
    id,
    required,
    mode,
    uid,
    gid,
  };
}

function placeOf(mount: ExecMount): string {
  return mount.type === "secret" ? (mount.target ?? `$${mount.env ?? ""}`) : mount.target;
}

/** Build argument that keeps the cache mounts of different projects apart. */
function namespaceOf({ options }: Pick<RuleScope, "options">): string {
  const namespace = options.buildArgs.get("BUILDKIT_CACHE_MOUNT_NS") ?? "";
  return namespace === "" ? "" : `${namespace}/`;
}
