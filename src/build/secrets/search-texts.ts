import type { Op, Plan } from "../../plan/index.ts";
import type { Leak } from "./leak.ts";
import type { SecretSearch } from "./secret-search.ts";

/**
 * Looks for secrets in what a plan says itself: instructions with their variables and files, config, labels and history.
 * All of it is known before a step runs, and most of it stands in the image, in the cache and on the screen later.
 */
export function searchPlan(search: SecretSearch, plan: Plan): readonly Leak[] {
  const leaks: Leak[] = [];
  const searched = new Set<number>();
  for (const { id, op, name } of plan.vertices) {
    const step = blotText(search, name);
    const found = findInValue(search, [name, writtenPart(op)]);
    if (found.length > 0) searched.add(id);
    leaks.push(
      ...found.map((each) => ({ ...each, step, place: { type: "instruction" } as const })),
    );
  }
  for (const { config, history } of plan.targets) {
    leaks.push(...searchMembers(search, config, "config"));
    for (const { createdBy, vertex } of history) {
      // That of a step was found in the step.
      if (vertex !== undefined && searched.has(vertex)) continue;
      leaks.push(...searchMembers(search, { history: createdBy }, "config"));
    }
  }
  return withoutTwins(leaks);
}

/** Looks for secrets in every name and text of `value`. */
export function searchMembers(
  search: SecretSearch,
  value: unknown,
  type: "config" | "command-line",
): readonly Leak[] {
  const leaks: Leak[] = [];
  walk(value, "", (text, member) => {
    for (const sighting of search.find(Buffer.from(text))) {
      const place = { type, member: blotText(search, member) } as const;
      leaks.push({ ...sighting, step: undefined, place });
    }
  });
  return withoutTwins(leaks);
}

/** What nobody writes down: the addresses of hosts and the proxies, whose passwords are known to steps alone. */
function writtenPart(op: Op): unknown {
  if (op.type !== "exec") return op;
  const { uncachedEnv: _uncached, settings: _settings, ...written } = op;
  return written;
}

function findInValue(search: SecretSearch, value: unknown): ReturnType<SecretSearch["find"]> {
  const texts: string[] = [];
  walk(value, "", (text) => texts.push(text));
  // Between two texts stands what is in no secret that is worth looking for.
  return search.find(Buffer.from(texts.join("\0\0")));
}

function walk(
  value: unknown,
  member: string,
  onText: (text: string, member: string) => void,
): void {
  if (typeof value === "string") return onText(value, member);
  if (typeof value !== "object" || value === null) return;
  const entries: Iterable<[unknown, unknown]> =
    value instanceof Map ? value : Object.entries(value);
  for (const [key, inner] of entries) {
    const name = String(key);
    const path = member === "" ? name : `${member}.${name}`;
    if (!Array.isArray(value)) onText(name, path);
    walk(inner, path, onText);
  }
}

function blotText(search: SecretSearch, text: string): string {
  return search.blotOut(Buffer.from(text)).toString("utf8");
}

function withoutTwins(leaks: readonly Leak[]): readonly Leak[] {
  return [...new Map(leaks.map((leak) => [JSON.stringify(leak), leak])).values()];
}
