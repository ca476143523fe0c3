import { expect, test } from "vitest";
import { runGit } from "../../../../src/context/git/run-git.ts";

test("a server that falls silent for two minutes is given up, as every other download is", async () => {
  const read = async (name: string): Promise<string> =>
    (await runGit({ args: ["config", "--get", name], purpose: `read ${name}` })).toString().trim();
  expect(await read("http.lowSpeedTime")).toBe("120");
  expect(await read("http.lowSpeedLimit")).toBe("1");
});
