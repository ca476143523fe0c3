import type { CachePlace } from "../../../cache/index.ts";
import type { MountSource } from "../../../registry/index.ts";
import type { Engine } from "../../engine.ts";
import { apiError } from "../../errors.ts";
import { parseCacheFrom, type CachePlaceSpec } from "./cache-spec.ts";

/** Opens the place of a cache; nothing is asked yet. Whoever opens it closes it. @throws USAGE, REFERENCE_INVALID */
export async function openCachePlace(request: {
  readonly engine: Engine;
  readonly spec: CachePlaceSpec;
  readonly access: "pull" | "push";
  readonly reset?: boolean;
  readonly mountFrom?: MountSource | undefined;
}): Promise<CachePlace> {
  const { engine, spec, access, mountFrom } = request;
  switch (spec.type) {
    case "registry": {
      const { openRegistryPlace } = await import("./registry-place.ts");
      return openRegistryPlace({ engine, access, mountFrom, ...spec });
    }
    case "local": {
      const { openLocalPlace } = await import("./local-place.ts");
      return openLocalPlace({ engine, spec, reset: request.reset ?? false });
    }
    case "s3": {
      const { openS3CachePlace } = await import("./s3-place.ts");
      return openS3CachePlace({ engine, fields: spec.fields, access });
    }
  }
}

/** Opens a place again that an earlier process wrote down. @throws USAGE */
export async function openLocation(engine: Engine, location: string): Promise<CachePlace> {
  const spec = parseCacheFrom(location);
  if (spec.type === "unsupported") {
    throw apiError("OUTPUT_UNSUPPORTED", `open the cache ${location}: not supported`);
  }
  return openCachePlace({ engine, spec, access: "pull" });
}
