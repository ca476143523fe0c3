import { expect, test } from "vitest";
import { environmentOf, tsbuildBin } from "../support/cli.ts";
import { startLocalServer } from "../support/local-server.ts";
import { runProgram } from "../support/setup-workspace.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

test("the parser of HTTP is not given to the optimizer, for which the end of a command would wait", async () => {
  const { origin } = await startLocalServer((_request, response) => {
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ name: "app", tags: ["1.0"] }));
  });
  const root = await temporaryFolder();
  const args = [tsbuildBin, "tags", `${new URL(origin).host}/app`];
  // V8 tells on standard output what it compiles, and with which of its compilers.
  const told = await runProgram(process.execPath, ["--trace-wasm-compilation-times", ...args], {
    env: environmentOf({ root }),
  });
  expect(told).toContain("1.0");
  expect(told).toContain("using Liftoff");
  expect(told).not.toContain("using TurboFan");
});
