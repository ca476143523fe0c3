import { trimStart } from "./characters.ts";

export type JsonForm =
  | { readonly kind: "array"; readonly items: readonly string[] }
  /** JSON, but with an item that is no string. */
  | { readonly kind: "mixed" }
  /** Not a JSON array: shell form, or words. */
  | { readonly kind: "none" };

/** Tries text as the JSON form of an instruction. Anything that is not strict JSON silently is shell form. */
export function readJsonArray(text: string): JsonForm {
  const start = trimStart(text);
  if (!start.startsWith("[")) return { kind: "none" };
  try {
    const items: unknown = JSON.parse(start);
    if (!Array.isArray(items)) return { kind: "none" };
    return items.every((item) => typeof item === "string")
      ? { kind: "array", items }
      : { kind: "mixed" };
  } catch {
    // Documented behaviour of Dockerfiles: what is not JSON is a shell command.
    return { kind: "none" };
  }
}
