import { expect, test } from "vitest";
import { removeRemote } from "../../../src/api/index.ts";
import { makeRandomImage } from "../../support/random-image.ts";
import { startFakeRegistry } from "../../support/registry.ts";
import { openTestRepository, pushContent } from "../../support/registry-scenes.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

test("an image is removed although its registry lists no tags", async () => {
  const registry = await startFakeRegistry({ deletes: true });
  const image = await makeRandomImage();
  await pushContent(openTestRepository(registry.host, { access: "push" }), image, "1");
  const { digest } = image.root;
  registry.addFault({
    method: "GET",
    path: /tags/,
    times: 99,
    act: { type: "status", status: 403 },
  });
  const name = `docker://${registry.host}/app@${digest}`;
  const removed = await removeRemote({ name, force: false, root: await temporaryFolder() });
  expect(removed).toEqual({ name, digest });
  expect(registry.repository("app").manifests.has(digest)).toBe(false);
});
