import { posix } from "node:path";
import type { RunInstruction } from "../dockerfile/index.ts";
import { planErrorAt } from "./errors.ts";
import { readMountFields, readMountSource, type MountFields } from "./mount-fields.ts";
import type { RuleScope } from "./rules/rule.ts";
import type { ExecMount, VertexId } from "./types.ts";

export interface PlannedMounts {
  /** Sorted by target, so that parents come first; of two on one target the last one stays. */
  readonly mounts: readonly ExecMount[];
  /** Follow the root in the vertex' inputs. */
  readonly inputs: readonly VertexId[];
  /** Variables that carry secrets: their values are never shown. */
  readonly secretNames: ReadonlySet<string>;
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
      `read --mount=${text}: variables are not expanded in from`,
      "give the image a name in a stage of its own (FROM $IMAGE AS tools) and use that name",
    );
  });
}

/** @throws PLAN_MOUNT_INVALID, DOCKERFILE_* */
export function planMounts(
  instruction: RunInstruction,
  scope: Pick<RuleScope, "step" | "rootOf" | "contextVertex" | "expand" | "options"> & {
    readonly cwd: string;
  },
): PlannedMounts {
  const inputs: VertexId[] = [];
  const byPlace = new Map<string, ExecMount>();
  const secretNames = new Set<string>();
  let agents = 0;
  for (const [index, text] of instruction.mounts.entries()) {
    const fields = readMountFields(text, { location: instruction.location, expand: scope.expand });
    const vertex = sourceVertex(fields, index, scope);
    const input = vertex === undefined ? undefined : inputOf(vertex, inputs);
    const target = resolveTarget(fields, { text, instruction, cwd: scope.cwd });
    const mount = toMount(fields, { target, input, agent: agents, namespace: namespaceOf(scope) });
    if (mount.type === "ssh") agents++;
    if (mount.type === "secret" && mount.env !== undefined) secretNames.add(mount.env);
    const place = placeOf(mount);
    byPlace.delete(place);
    byPlace.set(place, mount);
  }
  const sorted = [...byPlace].sort(([a], [b]) => (a < b ? -1 : 1));
  return { mounts: sorted.map(([, mount]) => mount), inputs, secretNames };
}

function sourceVertex(
  { type, from }: MountFields,
  index: number,
  { step, rootOf, contextVertex }: Pick<RuleScope, "step" | "rootOf" | "contextVertex">,
): VertexId | undefined {
  if (type !== "bind" && type !== "cache") return undefined;
  const source = step.sources[index];
  if (source !== undefined) return rootOf(source);
  return type === "bind" && from === "" ? contextVertex() : undefined;
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
    `read --mount=${text}: a mount cannot hide the whole filesystem`,
    "give a target such as target=/src",
  );
}

function toMount(
  fields: MountFields,
  place: {
    readonly target: string;
    readonly input: number | undefined;
    readonly agent: number;
    readonly namespace: string;
  },
): ExecMount {
  const { target, input } = place;
  const { readOnly, required, uid = 0, gid = 0 } = fields;
  const source = posix.resolve("/", fields.source);
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
        id:
          place.namespace + (fields.id === "" ? posix.normalize(fields.target || ".") : fields.id),
        sharing: fields.sharing ?? "shared",
        readOnly,
        mode: fields.mode ?? 0o755,
        uid,
        gid,
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
        mode: fields.mode ?? 0o600,
        uid,
        gid,
      };
  }
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
