import { chmod, mkdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  eraseCredentials,
  findStoredCredentials,
  saveCredentials,
  type Credentials,
} from "../../../src/registry/index.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";
import { failureOf } from "../../support/expect-code.ts";

const me = { type: "password", username: "me", password: "pa:ss" } as const;
const host = "host.io:5000";

describe("credentials are found", () => {
  test.each([
    ["by a host", { [host]: { auth: base64("me:pa:ss") } }],
    ["by a URL", { [`https://${host}/v2/`]: { auth: base64("me:pa:ss\0\0") } }],
    ["in two fields", { [host]: { username: "me", password: "pa:ss" } }],
    [
      "by the repository first",
      {
        [host]: { auth: base64("other:x") },
        [`${host}/team`]: { auth: base64("me:pa:ss") },
        [`${host}/team/other`]: { auth: base64("other:x") },
      },
    ],
  ])("%s [R3.3, R3.4]", async (_name, auths) => {
    const { find } = await home({ auths });
    expect((await find())?.credentials).toEqual(me);
  });

  test("of Docker Hub under its old name, and under the new ones [R1.6]", async () => {
    for (const key of ["https://index.docker.io/v1/", "docker.io", "registry-1.docker.io"]) {
      const { find } = await home({ auths: { [key]: { identitytoken: "id" } } });
      const found = await find("docker.io", "library/app");
      expect(found?.credentials).toEqual({ type: "identity-token", token: "id" });
    }
  });

  test("as tokens that are sent unchanged [R3.4]", async () => {
    const { find } = await home({ auths: { [host]: { registrytoken: "as-it-is" } } });
    expect((await find())?.credentials).toEqual({ type: "registry-token", token: "as-it-is" });
  });

  test("not for other hosts or ports [R3.3]", async () => {
    const { find } = await home({ auths: { "host.io": { auth: base64("me:x") } } });
    expect(await find()).toBeUndefined();
  });

  test("not without a user [R3.4]", async () => {
    const { find } = await home({ auths: { [host]: { auth: base64(":pa:ss") } } });
    expect((await failureOf(find())).code).toBe("REGISTRY_CREDENTIALS_INVALID");
  });

  test("in one place after the other [R3.1]", async () => {
    const { folder, env, find } = await home(undefined);
    const own = join(folder, "own.json");
    const runtime = join(folder, "run");
    const places = [
      join(folder, ".dockercfg"),
      join(folder, ".config/containers/auth.json"),
      join(runtime, "containers/auth.json"),
      own,
      join(folder, "config.json"),
    ];
    Object.assign(env, { REGISTRY_AUTH_FILE: own, XDG_RUNTIME_DIR: runtime });
    for (const path of places) {
      await mkdir(join(path, ".."), { recursive: true });
      const auths = { [host]: { auth: base64("me:x") } };
      await writeFile(path, JSON.stringify(path.endsWith(".dockercfg") ? auths : { auths }));
      expect((await find())?.origin).toBe(path);
    }
    env["DOCKER_AUTH_CONFIG"] = JSON.stringify({ auths: { [host]: { auth: base64("me:x") } } });
    expect((await find())?.origin).toBe("DOCKER_AUTH_CONFIG");
    env["DOCKER_AUTH_CONFIG"] = JSON.stringify({ auths: { other: { auth: base64("me:x") } } });
    expect((await find())?.origin).toBe(places.at(-1));
  });

  test("in files that are empty or missing: not, and in silence [R3.1]", async () => {
    const { folder, find } = await home(undefined);
    expect(await find()).toBeUndefined();
    await writeFile(join(folder, "config.json"), "\n");
    expect(await find()).toBeUndefined();
  });

  test("in files that cannot be read: an error without what they hold [R3.24]", async () => {
    const { folder, find } = await home(undefined);
    await writeFile(join(folder, "config.json"), '{"auths": top-secret}');
    const error = await failureOf(find());
    expect(error.code).toBe("REGISTRY_CREDENTIALS_INVALID");
    expect(`${error.message}${String(error.cause)}`).not.toContain("top-secret");
  });
});

describe("credential helpers", () => {
  test.each([
    ["a password", '{"Username":"me","Secret":"pa:ss"}', me],
    [
      "an identity token",
      '{"Username":"<token>","Secret":"x"}',
      { type: "identity-token", token: "x" },
    ],
  ])("give %s [R3.2, R3.5]", async (_name, answer, expected) => {
    const { folder, find } = await home({
      credHelpers: { [host]: "mine" },
      credsStore: "missing",
      auths: { [host]: { auth: base64("other:x") } },
    });
    await installHelper(folder, getter(answer));
    expect((await find())?.credentials).toEqual(expected);
  });

  test("are asked once in a process [R3.7]", async () => {
    const { folder, find } = await home({ credsStore: "mine" });
    await installHelper(
      folder,
      `echo asked >>${folder}/log\n${getter(JSON.stringify({ Username: "me", Secret: "x" }))}`,
    );
    await find();
    await find();
    expect(await readFile(join(folder, "log"), "utf8")).toBe("asked\n");
  });

  test("that do not know a server: the file is asked [R3.6]", async () => {
    const { folder, find } = await home({
      credsStore: "mine",
      auths: { [host]: { auth: base64("me:x") } },
    });
    await installHelper(folder, getter("credentials not found in native keychain", 1));
    expect((await find())?.credentials.type).toBe("password");
  });

  test("that are missing, fail or talk nonsense are an error [R3.6]", async () => {
    const { folder, find } = await home({ credsStore: "mine" });
    expect((await failureOf(find())).code).toBe("REGISTRY_CREDENTIALS_INVALID");
    for (const script of [getter("broken", 1), getter("top-secret")]) {
      await installHelper(folder, script);
      const error = await failureOf(find());
      expect(error.code).toBe("REGISTRY_CREDENTIALS_INVALID");
      expect(`${error.message}${String(error.cause)}`).not.toContain("top-secret");
    }
  });

  test("whose name is a path are not started [R3.5]", async () => {
    const { find } = await home({ credsStore: "../../bin/true" });
    expect((await failureOf(find())).code).toBe("REGISTRY_CREDENTIALS_INVALID");
  });

  test("keep, give and forget [R3.8, R3.9]", async () => {
    const { folder, env, find, document } = await home({ credsStore: "mine" });
    await installHelper(folder, keeper(folder));
    const saved = await saveCredentials({ domain: host, credentials: me, env });
    expect(saved).toEqual({ path: join(folder, "config.json"), helper: "mine" });
    expect(await document()).toEqual({ credsStore: "mine", auths: { [host]: {} } });
    expect((await find())?.credentials).toEqual(me);
    const other = { type: "identity-token", token: "id" } as const;
    await saveCredentials({ domain: host, credentials: other, env });
    expect((await find())?.credentials).toEqual(other);
    const erased = await eraseCredentials({ domain: host, env });
    expect(erased).toEqual({
      origins: ["docker-credential-mine", join(folder, "config.json")],
      remaining: undefined,
    });
    expect(await find()).toBeUndefined();
  });
});

describe("forgetting", () => {
  const listed = JSON.stringify({ [`https://${host}/v2/`]: "me", "https://other.io": "me" });
  const script = (list: string): string =>
    [
      `if [ "$1" = list ]; then ${list}; fi`,
      `if [ "$1" = get ]; then echo "credentials not found"; exit 1; fi`,
      `echo "$1 $(cat)" >>"$HOME/log"`,
    ].join("\n");

  test("finds every spelling that a helper lists [R3.9]", async () => {
    const { folder, env } = await home({ credsStore: "mine" });
    await installHelper(folder, script(`echo '${listed}'; exit 0`));
    await eraseCredentials({ domain: host, env });
    const lines = (await readFile(join(folder, "log"), "utf8")).split("\n");
    expect(lines.slice(0, 2)).toEqual([`erase ${host}`, `erase https://${host}/v2/`]);
  });

  test("does without a list [R3.9]", async () => {
    const { folder, env } = await home({ credsStore: "mine" });
    await installHelper(folder, script("exit 1"));
    await eraseCredentials({ domain: host, env });
    expect(await readFile(join(folder, "log"), "utf8")).toContain(`erase ${host}\n`);
  });
});

describe("saving", () => {
  const odd = [
    "{",
    '  "auths" : { "other.io": {"auth": "b3RoZXI6eA==", "big": 12345678901234567890.10} ,',
    '    "slash\\/": {} },',
    '  "1": 1, "0": 1.0e3,   "credHelpers":{}',
    "}",
    "",
  ].join("\n");

  test("leaves everything else byte for byte, and takes it back again [R3.8]", async () => {
    const { folder, env, find } = await home(undefined);
    const path = join(folder, "config.json");
    await writeFile(path, odd, { mode: 0o644 });
    await saveCredentials({ domain: host, credentials: me, env });
    expect((await find())?.credentials).toEqual(me);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const text = await readFile(path, "utf8");
    for (const line of odd.split("\n").slice(0, 2)) expect(text).toContain(line);
    expect(text).toContain('"1": 1, "0": 1.0e3,   "credHelpers":{}');
    await eraseCredentials({ domain: host, env });
    expect(await readFile(path, "utf8")).toBe(odd);
  });

  test.each(["{}", "\n", '{\n\t"auths": {}\n}', '{"auths":null}', '{"auths":{"A":{}}}', undefined])(
    "into %j reads back, and twice is once [R3.8]",
    async (text) => {
      const { folder, env, find } = await home(undefined);
      if (text !== undefined) await writeFile(join(folder, "config.json"), text);
      await saveCredentials({ domain: host, credentials: me, env });
      const once = await readFile(join(folder, "config.json"), "utf8");
      await saveCredentials({ domain: host, credentials: me, env });
      expect(await readFile(join(folder, "config.json"), "utf8")).toBe(once);
      expect((await find())?.credentials).toEqual(me);
    },
  );

  test("makes the folder for its owner alone, and follows a link [R3.8]", async () => {
    const { folder, env } = await home(undefined);
    env["DOCKER_CONFIG"] = join(folder, "new/docker");
    await saveCredentials({ domain: "docker.io", credentials: me, env });
    expect((await stat(join(folder, "new/docker"))).mode & 0o777).toBe(0o700);
    const path = join(folder, "new/docker/config.json");
    expect(
      Object.keys((JSON.parse(await readFile(path, "utf8")) as { auths: object }).auths),
    ).toEqual(["https://index.docker.io/v1/"]);
    env["REGISTRY_AUTH_FILE"] = join(folder, "link.json");
    await symlink(path, env["REGISTRY_AUTH_FILE"]);
    await saveCredentials({ domain: host, credentials: me, env });
    expect(await readFile(path, "utf8")).toContain(host);
  });

  test("replaces other spellings of the same host [R3.8]", async () => {
    const { env, document } = await home({ auths: { [`https://${host}/v1/`]: { auth: "eDp4" } } });
    await saveCredentials({ domain: host, credentials: me, env });
    expect(await document()).toEqual({ auths: { [host]: { auth: base64("me:pa:ss") } } });
  });

  test("of many at the same time loses none [R3.8]", async () => {
    const { env, document } = await home(undefined);
    const hosts = Array.from({ length: 12 }, (_, index) => `host-${String(index)}:5000`);
    await Promise.all(hosts.map((domain) => saveCredentials({ domain, credentials: me, env })));
    const { auths } = (await document()) as { auths: Record<string, unknown> };
    expect(Object.keys(auths).sort()).toEqual([...hosts].sort());
    await Promise.all(hosts.slice(1).map((domain) => eraseCredentials({ domain, env })));
    expect(Object.keys(((await document()) as { auths: object }).auths)).toEqual(["host-0:5000"]);
  });

  test("tells where credentials remain after forgetting [R3.9]", async () => {
    const { env } = await home({ auths: { [host]: { auth: base64("me:x") } } });
    env["DOCKER_AUTH_CONFIG"] = JSON.stringify({ auths: { [host]: { auth: base64("me:y") } } });
    expect(await eraseCredentials({ domain: host, env })).toMatchObject({
      remaining: "DOCKER_AUTH_CONFIG",
    });
  });

  test("a user name that no header can carry is refused [R3.8]", async () => {
    const { env } = await home(undefined);
    const credentials: Credentials = { type: "password", username: "a:b", password: "x" };
    const failed = saveCredentials({ domain: host, credentials, env });
    expect((await failureOf(failed)).code).toBe("REGISTRY_CREDENTIALS_INVALID");
  });
});

async function home(config: unknown) {
  const folder = await temporaryFolder();
  const path = join(folder, "config.json");
  if (config !== undefined) await writeFile(path, JSON.stringify(config));
  const env: Record<string, string | undefined> = {
    DOCKER_CONFIG: folder,
    HOME: folder,
    PATH: `${folder}:${process.env["PATH"] ?? ""}`,
  };
  return {
    folder,
    env,
    find: (domain = host, repository = "team/app") =>
      findStoredCredentials(env)({ domain, path: repository }),
    document: async (): Promise<unknown> => JSON.parse(await readFile(path, "utf8")),
  };
}

/** A helper that knows one server. */
function getter(answer: string, code = 0): string {
  return `read server\n[ "$1 $server" = "get ${host}" ] || exit 9\necho '${answer}'\nexit ${String(code)}\n`;
}

/** A helper that keeps one secret in a file. */
function keeper(folder: string): string {
  return `file=${folder}/kept
missing() { echo "credentials not found in native keychain"; exit 1; }
case $1 in
  store) cat >$file ;;
  get) [ -e $file ] || missing; cat $file ;;
  erase) [ -e $file ] || missing; rm $file ;;
esac
`;
}

async function installHelper(folder: string, script: string): Promise<void> {
  const path = join(folder, "docker-credential-mine");
  await writeFile(path, `#!/bin/sh\n${script}`);
  await chmod(path, 0o755);
}

function base64(pair: string): string {
  return Buffer.from(pair).toString("base64");
}
