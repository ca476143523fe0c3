import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { withConfiguredProxies } from "../../../src/api/build/proxies.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

/** Build arguments and warnings with `text` as Docker's configuration file. */
async function configured(
  text: string | undefined,
  given: Readonly<Record<string, string>> = {},
): Promise<{ readonly args: unknown; readonly codes: readonly string[] }> {
  const home = await temporaryFolder();
  await mkdir(join(home, ".docker"));
  if (text !== undefined) await writeFile(join(home, ".docker/config.json"), text);
  const codes: string[] = [];
  const steps = { warn: ({ code }: { readonly code: string }) => void codes.push(code) };
  const args = withConfiguredProxies(new Map(Object.entries(given)), steps, { HOME: home });
  return { args: Object.fromEntries(args), codes };
}

const text = JSON.stringify({
  auths: {},
  proxies: {
    default: { httpProxy: "http://p:1", noProxy: "localhost", httpsProxy: "", ftpProxy: 7 },
    "tcp://elsewhere:2376": { allProxy: "http://never" },
  },
});

test("proxies of Docker's configuration are build arguments in both cases [2.20]", async () => {
  expect(await configured(text)).toEqual({
    args: {
      HTTP_PROXY: "http://p:1",
      http_proxy: "http://p:1",
      NO_PROXY: "localhost",
      no_proxy: "localhost",
    },
    codes: [],
  });
});

test("what --build-arg gives, in either case, is left as it is [2.20]", async () => {
  const given = { http_proxy: "http://mine", No_Proxy: "" };
  expect((await configured(text, given)).args).toEqual(given);
});

test("without a file, and without proxies in it, nothing is added or told", async () => {
  expect(await configured(undefined)).toEqual({ args: {}, codes: [] });
  expect(await configured("{}")).toEqual({ args: {}, codes: [] });
  expect(await configured('{"proxies":{"default":null}}')).toEqual({ args: {}, codes: [] });
});

test("a broken file is told, and the build goes on", async () => {
  expect(await configured("{")).toEqual({ args: {}, codes: ["PROXY_CONFIG_UNREADABLE"] });
});
