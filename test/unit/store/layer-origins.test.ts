import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openLayerOrigins } from "../../../src/store/layer-origins.ts";
import { layerCalled } from "../../support/cache-records.ts";
import { collect } from "../../support/collect.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

test("the places of a layer, the latest first, each once, and not more than help", async () => {
  const folder = await temporaryFolder();
  const origins = openLayerOrigins(join(folder, "layer-origins"), folder);
  const { diffId, blob } = layerCalled("one");
  expect(await origins.get(diffId)).toEqual([]);
  expect(await collect(origins.list())).toEqual([]);
  const created = "2026-01-02T03:04:05.678Z";
  await origins.add(diffId, { blob, place: "type=local,src=/a", created });
  await origins.add(diffId, { blob, place: "type=local,src=/b" });
  await origins.add(diffId, { blob, place: "type=local,src=/a" });
  expect(await origins.get(diffId)).toEqual([
    { blob, place: "type=local,src=/b" },
    { blob, place: "type=local,src=/a", created },
  ]);
  for (const name of "cdefg") await origins.add(diffId, { blob, place: `type=local,src=/${name}` });
  expect((await origins.get(diffId)).map(({ place }) => place.at(-1))).toEqual([..."gfed"]);
  expect(await collect(origins.list())).toEqual([diffId]);
  await origins.remove(diffId);
  expect(await origins.get(diffId)).toEqual([]);
});

test("a damaged file is none", async () => {
  const folder = await temporaryFolder();
  const origins = openLayerOrigins(folder, folder);
  const { diffId } = layerCalled("one");
  for (const text of ["{", "[]", '{"origins":[{"place":1}]}']) {
    await writeFile(join(folder, `${diffId.replace(":", "-")}.json`), text);
    expect(await origins.get(diffId)).toEqual([]);
  }
});
