import { expect, test } from "vitest";
import { openRepository } from "../../../src/api/open-repository.ts";
import { parseReference, type ProgressEvent, systemClock } from "../../../src/core/index.ts";
import { startLocalServer } from "../../support/local-server.ts";

test("what a registry wants people to read is a warning, once", async () => {
  const { origin } = await startLocalServer((_, response) => {
    response.writeHead(404, { warning: '299 - "closing in May"' }).end();
  });
  const host = new URL(origin).host;
  const events: ProgressEvent[] = [];
  const engine = { progress: (event: ProgressEvent) => events.push(event), clock: systemClock };
  const repository = await openRepository(engine, {
    reference: parseReference(`${host}/app`),
    access: "pull",
  });
  try {
    expect(await repository.resolve("one")).toBeUndefined();
    expect(await repository.resolve("two")).toBeUndefined();
  } finally {
    await repository.close();
  }
  expect(events).toEqual([
    expect.objectContaining({
      type: "warning",
      code: "REGISTRY_SAYS",
      message: `registry ${host}: closing in May`,
    }),
  ]);
});
