import { execFile } from "node:child_process";
import { chmod, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { environmentOf, runCli, tsbuildBin, type CliResult } from "../support/cli.ts";
import { makeFolder } from "../support/setup-context.ts";
import { errorCode } from "../support/setup-workspace.ts";
import { startFakeRegistry } from "../support/registry.ts";
import { startLocalServer } from "../support/local-server.ts";

const password = "secret word";

/** A registry that asks who one is, and an empty home. */
async function setUp(scheme: "basic" | "bearer" = "basic") {
  const registry = await startFakeRegistry({ login: { scheme, username: "me", password } });
  const config = join(await makeFolder("home"), "docker");
  await mkdir(config);
  const env = { DOCKER_CONFIG: config, HOME: config, XDG_RUNTIME_DIR: config };
  const path = join(config, "config.json");
  const run = async (args: readonly string[], input = ""): Promise<CliResult> =>
    runCli(args, { env, input, root: join(config, "root") });
  const authOf = async (): Promise<unknown> =>
    (JSON.parse(await readFile(path, "utf8")) as { auths?: Record<string, unknown> }).auths?.[
      registry.host
    ];
  return { registry, config, env, path, run, authOf, host: registry.host };
}

describe("login", () => {
  for (const scheme of ["basic", "bearer"] as const) {
    test(`${scheme}: keeps what the registry knows, and logout forgets it [R17.8, R17.10]`, async () => {
      const { run, host, path, authOf } = await setUp(scheme);
      const args = ["login", "-u", "me", "--password-stdin", host];
      const result = await run(args, `${password}\n`);
      expect(result).toMatchObject({ code: 0, stdout: "Login Succeeded\n" });
      expect(result.stderr).toContain(path);
      expect(await authOf()).toEqual({ auth: Buffer.from(`me:${password}`).toString("base64") });
      expect((await stat(path)).mode & 0o777).toBe(0o600);
      expect((await run(["tags", `${host}/no/such`])).stderr).not.toContain("UNAUTHORIZED");
      expect((await run(["logout", host])).stdout).toBe(`Removing login credentials for ${host}\n`);
      expect(await authOf()).toBeUndefined();
      expect((await run(["logout", host])).stdout).toBe(`Not logged in to ${host}\n`);
    });
  }

  test("shows what the registry wants people to read", async () => {
    const { origin } = await startLocalServer((_, response) => {
      response.writeHead(200, { warning: '299 - "closing in May"' }).end();
    });
    const { run } = await setUp();
    const result = await run(["login", "-u", "me", "--password-stdin", new URL(origin).host], "x");
    expect(result.code).toBe(0);
    expect(result.stderr).toContain("closing in May");
  });

  test("of several processes at the same time: each is kept [R3.8]", async () => {
    const { run, path } = await setUp();
    const registries = await Promise.all(
      Array.from({ length: 4 }, () =>
        startFakeRegistry({ login: { scheme: "basic", username: "me", password } }),
      ),
    );
    const hosts = registries.map(({ host }) => host).sort();
    const results = await Promise.all(
      hosts.map((host) => run(["login", "-u", "me", "--password-stdin", host], password)),
    );
    expect(results.map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    const { auths } = JSON.parse(await readFile(path, "utf8")) as { auths: object };
    expect(Object.keys(auths).sort()).toEqual(hosts);
  });

  test("keeps nothing that the registry does not know [R17.8]", async () => {
    const { run, host, path } = await setUp();
    const result = await run(["login", "-u", "me", "--password-stdin", host], "wrong word");
    expect([result.code, errorCode(result)]).toEqual([1, "REGISTRY_UNAUTHORIZED"]);
    expect(result.stderr).not.toContain("wrong word");
    await expect(stat(path)).rejects.toThrow("ENOENT");
  });

  test("gives the secret to the helper that the file names [R17.8]", async () => {
    const { run, host, config, path, env } = await setUp();
    const kept = join(config, "kept");
    const script = `#!/bin/sh\ncat >"${kept}.$1"\n`;
    await writeFile(join(config, "docker-credential-test"), script);
    await chmod(join(config, "docker-credential-test"), 0o755);
    await writeFile(path, JSON.stringify({ credsStore: "test" }));
    Object.assign(env, { PATH: `${config}:${process.env["PATH"] ?? ""}` });
    const result = await run(["login", "-u", "me", "--password-stdin", host], password);
    expect(result).toMatchObject({ code: 0, stderr: "" });
    expect(JSON.parse(await readFile(`${kept}.store`, "utf8"))).toMatchObject({
      ...{ ServerURL: host, Username: "me", Secret: password },
    });
    expect(await readFile(path, "utf8")).not.toContain(Buffer.from(password).toString("base64"));
  });

  test("takes no password on the command line, and asks nobody who is not there [R17.9]", async () => {
    const { run, host } = await setUp();
    const told = await run(["login", "-u", "me", "-p", password, host]);
    expect([told.code, errorCode(told)]).toEqual([2, "USAGE"]);
    expect(told.stderr).toContain("--password-stdin");
    expect(told.stderr).not.toContain(password);
    expect((await run(["login", "-u", "me", host], password)).code).toBe(2);
    expect((await run(["login", "--password-stdin", host], password)).code).toBe(2);
    expect((await run(["login", "-u", "me", "--password-stdin", "a b"], password)).code).toBe(2);
  });

  test("asks at a terminal, and shows the user but not the password [R17.9]", async (context) => {
    const { host, env, config, authOf } = await setUp();
    const command = `'${process.execPath}' '${tsbuildBin}' login ${host}`;
    const shown = await new Promise<string | undefined>((fulfil, reject) => {
      const child = execFile(
        "script",
        ["-qec", command, "/dev/null"],
        { env: environmentOf({ env, root: join(config, "root") }) },
        (error, stdout) => {
          if (error === null) fulfil(stdout);
          else if ("code" in error && error.code === "ENOENT") fulfil(undefined);
          else reject(new Error(`${error.message}\n${stdout}`));
        },
      );
      let seen = "";
      let typed = 0;
      child.stdout?.on("data", (chunk: string) => {
        seen += chunk;
        if (typed === 0 && seen.includes("Username: ")) {
          typed = 1;
          child.stdin?.write("me\r");
        }
        if (typed === 1 && seen.includes("Password: ")) {
          typed = 2;
          child.stdin?.write(`${password}\r`);
        }
      });
    });
    if (shown === undefined) return context.skip("script(1) is not installed");
    expect(shown).toContain("Login Succeeded");
    expect(shown).toContain("me");
    expect(shown).not.toContain(password);
    expect(await authOf()).toEqual({ auth: Buffer.from(`me:${password}`).toString("base64") });
  });
});
