import type { CacheSource } from "./cache-spec.ts";

/** A place as messages name it, without secrets. */
export function describePlace(spec: CacheSource): string {
  switch (spec.type) {
    case "registry":
      return spec.ref;
    case "local":
      return spec.directory;
    case "s3":
      return `s3 ${spec.fields.get("bucket") ?? ""}`.trim();
    case "unsupported":
      return `type=${spec.kind}`;
  }
}
