import { join } from "node:path";
import { onTestFinished } from "vitest";
import { openCachePlace } from "../../src/api/build/cache/open-place.ts";
import type { CachePlaceSpec } from "../../src/api/index.ts";
import { startFakeRegistry } from "../support/registry.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { openTestEngine } from "../support/engine.ts";
import { describeCachePlace, type OpenPlace } from "./cache-place-contract.ts";

describeCachePlace("directory [6.19]", async () => {
  const directory = join(await temporaryFolder(), "cache");
  return openEach({ type: "local", directory, tag: "latest" });
});

describeCachePlace("registry", async () => {
  const registry = await startFakeRegistry();
  return openEach({ type: "registry", ref: `${registry.host}/team/cache:main`, isInsecure: false });
});

async function openEach(spec: CachePlaceSpec): Promise<OpenPlace> {
  const engine = await openTestEngine(await temporaryFolder());
  return async () => {
    const place = await openCachePlace({ engine, spec, access: "push" });
    onTestFinished(() => place.close());
    return place;
  };
}
