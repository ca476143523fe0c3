import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { copyImage, pullImage } from "../../../src/api/index.ts";
import { failureOf } from "../../support/expect-code.ts";
import { makeRandomImage, makeRandomIndex } from "../../support/random-image.ts";
import { startFakeRegistry } from "../../support/registry.ts";
import { openTestRepository, pushContent } from "../../support/registry-scenes.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

test("nothing is fetched for one platform when another one is missing", async () => {
  const registry = await startFakeRegistry();
  const index = await makeRandomIndex(["linux/amd64", "linux/arm64"]);
  await pushContent(openTestRepository(registry.host, { access: "push" }), index, "1");
  const pulling = pullImage({
    name: `${registry.host}/app:1`,
    platforms: ["linux/amd64", "linux/s390x"],
    root: await temporaryFolder(),
  });
  expect((await failureOf(pulling)).code).toBe("IMAGE_PLATFORM_NOT_FOUND");
  expect(registry.log().filter((line) => line.startsWith("GET /v2/app/blobs/"))).toEqual([]);
});

test("a digest file that cannot be written is told before anything is sent", async () => {
  const registry = await startFakeRegistry();
  const image = await makeRandomImage();
  await pushContent(openTestRepository(registry.host, { access: "push" }), image, "1");
  const folder = await temporaryFolder();
  const copying = copyImage({
    source: `docker://${registry.host}/app:1`,
    target: `docker://${registry.host}/other:1`,
    digestFile: join(folder, "missing", "digest"),
    root: folder,
  });
  expect((await failureOf(copying)).code).toBe("OUTPUT_FAILED");
  expect(registry.repository("other").blobs.size).toBe(0);
  expect(await readdir(folder)).toEqual([]);
});
