import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { findRoute } from "../../../src/registry/hosts/find-route.ts";
import type { RegistryHost } from "../../../src/registry/hosts/types.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";
import { failureOf } from "../../support/expect-code.ts";

describe("schemes", () => {
  test.each([
    ["host.io", ["https://host.io"]],
    ["host.io:80", ["https://host.io:80"]],
    ["10.0.0.7:5000", ["https://10.0.0.7:5000"]],
    ["docker.io", ["https://registry-1.docker.io"]],
    ["localhost:5000", ["http://localhost:5000", "https://localhost:5000?"]],
    ["a.localhost", ["http://a.localhost", "https://a.localhost?"]],
    ["127.1.2.3:5000", ["http://127.1.2.3:5000", "https://127.1.2.3:5000?"]],
    ["[::1]:5000", ["http://[::1]:5000", "https://[::1]:5000?"]],
    ["127.0.0.1:443", ["https://127.0.0.1:443?", "http://127.0.0.1:443"]],
  ])("%s is reached by %j [R2.1, R1.6]", async (domain, expected) => {
    const { route } = await place({});
    expect(waysTo((await route(`${domain}/app`)).primary)).toEqual(expected);
  });

  test("an insecure registry by TLS with any certificate, then by http [R2.2]", async () => {
    const { route } = await place({});
    const { primary } = await route("host.io/app", { insecure: true });
    expect(waysTo(primary)).toEqual(["https://host.io?", "http://host.io"]);
  });

  test.each([
    ["TSBUILD_INSECURE_REGISTRIES", "host.io:5000", true],
    ["TSBUILD_INSECURE_REGISTRIES", "a, *.host.io", false],
    ["TSBUILD_INSECURE_REGISTRIES", "host.io", false],
    ["daemon.json", "host.io:5000", true],
    ["registries.conf", "host.io:5000", true],
  ])("%s says %s: insecure is %s [R2.3]", async (source, entry, expected) => {
    const { route, env } = await place({
      "docker/daemon.json": JSON.stringify({
        "insecure-registries": source === "daemon.json" ? [entry] : [],
      }),
      "containers/registries.conf": `[[registry]]\nlocation = "${entry}"\ninsecure = ${String(source === "registries.conf")}`,
    });
    if (source === "TSBUILD_INSECURE_REGISTRIES") env[source] = entry;
    const ways = waysTo((await route("host.io:5000/app")).primary);
    expect(ways.includes("http://host.io:5000")).toBe(expected);
  });

  test.each([
    ["*.sub.io", "a.sub.io:1", true],
    ["*.sub.io", "sub.io", false],
    ["10.0.0.0/8", "10.1.2.3:5000", true],
    ["10.0.0.0/8", "11.1.2.3:5000", false],
    ["10.0.0.0/8", "10.io", false],
    ["192.168.0.1", "192.168.0.1:7", true],
    ["fd00::/8", "[fd12::1]:5000", true],
    ["0.0.0.0/99", "1.2.3.4", false],
  ])("%s covers %s: %s [R2.3]", async (entry, domain, expected) => {
    const { route, env } = await place({});
    env["TSBUILD_INSECURE_REGISTRIES"] = entry;
    const ways = waysTo((await route(`${domain}/app`)).primary);
    expect(ways.some((way) => way.startsWith("http:"))).toBe(expected);
  });
});

describe("certificates", () => {
  test.each([
    "home/containers/certs.d",
    "containers/certs.d",
    "home/docker/certs.d",
    "docker/certs.d",
  ])("of %s, for host and port [R2.5, R2.6]", async (folder) => {
    const { route } = await place({
      [`${folder}/host.io:5000/ca.crt`]: "CA",
      [`${folder}/host.io:5000/me.cert`]: "CERT",
      [`${folder}/host.io:5000/me.key`]: "KEY",
      [`${folder}/host.io:5000/notes.txt`]: "",
    });
    expect((await route("host.io:5000/app")).primary.tls).toEqual({
      authorities: ["CA"],
      identities: [{ certificate: "CERT", key: "KEY" }],
    });
    expect((await route("host.io/app")).primary.tls).toBeUndefined();
  });

  test("the first folder counts, and the same material is the same object [R2.5]", async () => {
    const { route } = await place({
      "home/containers/certs.d/host.io/ca.crt": "MINE",
      "docker/certs.d/host.io/ca.crt": "OTHER",
    });
    const { tls } = (await route("host.io/app")).primary;
    expect(tls?.authorities).toEqual(["MINE"]);
    expect((await route("host.io/other")).primary.tls).toBe(tls);
  });

  test("with an authority of its own, loopback is verified too [R2.5]", async () => {
    const { route } = await place({ "docker/certs.d/127.0.0.1:5000/ca.crt": "CA" });
    const { primary } = await route("127.0.0.1:5000/app");
    expect(waysTo(primary)).toEqual(["https://127.0.0.1:5000"]);
  });

  test.each(["me.cert", "me.key"])("%s alone is an error [R2.6]", async (name) => {
    const { route } = await place({ [`docker/certs.d/host.io/${name}`]: "" });
    const error = await failureOf(route("host.io/app"));
    expect(error.code).toBe("REGISTRY_SETTINGS_INVALID");
    expect(error.message).toContain("authorities must be called *.crt");
  });

  test("that cannot be read are an error [R2.7]", async () => {
    const { route } = await place({ "docker/certs.d/host.io/ca.crt/x": "" });
    expect((await failureOf(route("host.io/app"))).code).toBe("REGISTRY_SETTINGS_INVALID");
  });
});

describe("hosts.toml", () => {
  const toml = [
    'server = "https://real.host.io"',
    '[host."http://mirror:5000"]',
    'capabilities = ["pull", "resolve"]',
    'ca = "ca.pem"',
    'client = [["me.cert", "me.key"]]',
    '[host."http://mirror:5000".header]',
    'X-Token = ["a", "b"]',
    '[host."https://by-digest/sub"]',
    'capabilities = ["pull"]',
    "skip_verify = true",
    '[host."https://whole/own/api"]',
    "override_path = true",
    '[host."https://takes-only"]',
    'capabilities = ["push"]',
  ].join("\n");

  test.each(["host.io_5000_", "host.io:5000", "_default"])("in %s [R2.8]", async (name) => {
    const { route } = await place({
      [`containerd/certs.d/${name}/hosts.toml`]: toml,
      [`containerd/certs.d/${name}/ca.pem`]: "CA",
      [`containerd/certs.d/${name}/me.cert`]: "CERT",
      [`containerd/certs.d/${name}/me.key`]: "KEY",
    });
    const { primary, mirrors } = await route("host.io:5000/app");
    expect([primary.domain, waysTo(primary)]).toEqual(["real.host.io", ["https://real.host.io"]]);
    expect(mirrors.map((host) => [...waysTo(host), host.serves, host.namespace])).toEqual([
      ["http://mirror:5000", "all", "host.io:5000"],
      ["https://by-digest?", "digests", "host.io:5000"],
      ["https://whole", "all", "host.io:5000"],
    ]);
    expect(mirrors.map((host) => host.endpoints[0]?.api)).toEqual(["/v2", "/sub/v2", "/own/api"]);
    expect(mirrors[0]?.headers).toEqual({ "x-token": "a, b" });
    expect(mirrors[0]?.tls).toEqual({
      authorities: ["CA"],
      identities: [{ certificate: "CERT", key: "KEY" }],
    });
  });

  test("that is no TOML, or no sense, is told with its path [R2.9]", async () => {
    for (const [text, reason] of [
      ["server = \n[", "hosts.toml:1"],
      ['server = "ftp://x"', "no http or https URL"],
      ['[host."https://x"]\nca = 5', "ca of"],
    ] as const) {
      const { route } = await place({ "containerd/certs.d/host.io/hosts.toml": text });
      const error = await failureOf(route("host.io/app"));
      expect(error.code).toBe("REGISTRY_SETTINGS_INVALID");
      expect(error.message).toContain(reason);
    }
  });

  test("is not needed: certificates of the folder count [R2.9]", async () => {
    const { route } = await place({ "containerd/certs.d/host.io/ca.crt": "CA" });
    expect((await route("host.io/app")).primary.tls?.authorities).toEqual(["CA"]);
  });

  test("of another host does not get the registry's credentials [R2.17]", async () => {
    const { route } = await place({
      "containerd/certs.d/docker.io/hosts.toml": 'server = "https://registry-1.docker.io"',
      "containerd/certs.d/host.io/hosts.toml": 'server = "https://elsewhere.io"',
    });
    expect((await route("docker.io/library/app")).primary.domain).toBe("docker.io");
    expect((await route("host.io/app")).primary.domain).toBe("elsewhere.io");
  });
});

describe("registries.conf", () => {
  const conf = `
unqualified-search-registries = ["elsewhere.io"]
[[registry]]
prefix = "host.io"
location = "general.io/all"
[[registry]]
prefix = "host.io/team"
location = "team.io"
[[registry]]
prefix = "*.wild.io"
insecure = true
[[registry]]
location = "bad.io"
blocked = true
[[registry]]
location = "docker.io"
[[registry.mirror]]
location = "all.io/hub"
insecure = true
[[registry.mirror]]
location = "digests.io"
pull-from-mirror = "digest-only"
[[registry.mirror]]
location = "tags.io"
pull-from-mirror = "tag-only"
`;

  test.each([
    ["host.io/app", "general.io", "all/app"],
    ["host.io/team/app", "team.io", "app"],
    ["host.io/teams/app", "general.io", "all/teams/app"],
    ["a.wild.io/app", "a.wild.io", "app"],
    ["wild.io/app", "wild.io", "app"],
    ["other.io/host.io", "other.io", "host.io"],
  ])("%s is at %s as %s [R2.11, R2.12]", async (name, domain, path) => {
    const { route } = await place({ "containers/registries.conf": conf });
    const { primary } = await route(name);
    expect([primary.domain, primary.path]).toEqual([domain, path]);
  });

  test("blocks [R2.12]", async () => {
    const { folder, route } = await place({ "containers/registries.conf": conf });
    const error = await failureOf(route("bad.io/app"));
    expect(error).toMatchObject({
      code: "REGISTRY_BLOCKED",
      details: { path: join(folder, "containers/registries.conf") },
    });
  });

  test("names mirrors in order, and what they are for [R2.13]", async () => {
    const { route } = await place({ "containers/registries.conf": conf });
    const { mirrors, primary } = await route("docker.io/library/app");
    expect(mirrors.map((host) => [host.domain, host.path, host.serves, host.namespace])).toEqual([
      ["all.io", "hub/library/app", "all", undefined],
      ["digests.io", "library/app", "digests", undefined],
      ["tags.io", "library/app", "tags", undefined],
    ]);
    expect(waysTo(mirrors[0] ?? primary)).toEqual(["https://all.io?", "http://all.io"]);
    expect(primary.domain).toBe("docker.io");
  });

  test("of the user goes before the system's, and drop-ins add to it [R2.10]", async () => {
    const entry = (location: string) =>
      `[[registry]]\nprefix = "host.io"\nlocation = "${location}"`;
    const files: Record<string, string> = {
      "containers/registries.conf": entry("system.io"),
    };
    const primary = async (own?: string) => {
      const { folder, route, env } = await place(files);
      if (own !== undefined) env["CONTAINERS_REGISTRIES_CONF"] = join(folder, own);
      return (await route("host.io/app")).primary.domain;
    };
    expect(await primary()).toBe("system.io");
    files["home/containers/registries.conf"] = entry("user.io");
    expect(await primary()).toBe("user.io");
    files["own.conf"] = entry("own.io");
    expect(await primary("own.conf")).toBe("own.io");
    files["containers/registries.conf.d/b.conf"] = entry("b.io");
    files["containers/registries.conf.d/a.conf"] = entry("a.io");
    files["containers/registries.conf.d/c.txt"] = entry("c.io");
    expect(await primary()).toBe("b.io");
    files["home/containers/registries.conf.d/0.conf"] = entry("0.io");
    expect(await primary()).toBe("0.io");
  });

  test.each([
    ["mirror-by-digest-only = true\n[[registry.mirror]]\nlocation='m.io'", "digests"],
    ["[[registry.mirror]]\nlocation='m.io'\npull-from-mirror='all'", "all"],
  ])("%j means %s [R2.13]", async (rest, serves) => {
    const text = `[[registry]]\nlocation = "host.io"\n${rest}`;
    const { route } = await place({ "containers/registries.conf": text });
    expect((await route("host.io/app")).mirrors[0]?.serves).toBe(serves);
  });

  test.each([
    "location = 'host.io'\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation='m.io'\npull-from-mirror='all'",
    "location = 'host.io'\n[[registry.mirror]]\npull-from-mirror='all'",
    "location = 'host.io'\n[[registry.mirror]]\nlocation='m'\npull-from-mirror='some'",
    "prefix = 'host.io'",
    "insecure = true",
    "location = 5",
  ])("%j makes no sense [R2.13]", async (rest) => {
    const { route } = await place({ "containers/registries.conf": `[[registry]]\n${rest}` });
    expect((await failureOf(route("host.io/app"))).code).toBe("REGISTRY_SETTINGS_INVALID");
  });

  test("of version 1 says nothing here [R2.18]", async () => {
    const text =
      '[registries.search]\nregistries = ["host.io"]\n[registries.block]\nregistries = []';
    const { route } = await place({ "containers/registries.conf": text });
    expect((await route("host.io/app")).primary.domain).toBe("host.io");
  });
});

test("mirrors of daemon.json are Docker Hub's alone [R2.14]", async () => {
  const settings = { "registry-mirrors": ["http://mirror:5000/"] };
  const { route } = await place({ "docker/daemon.json": JSON.stringify(settings) });
  const { mirrors } = await route("docker.io/library/app");
  expect(mirrors.map((host) => [...waysTo(host), host.namespace])).toEqual([
    ["http://mirror:5000", "docker.io"],
  ]);
  expect((await route("host.io/app")).mirrors).toEqual([]);
});

/** A machine with these settings below `/etc`, or below `~/.config` for those in `home`. */
async function place(files: Readonly<Record<string, string>>) {
  const folder = await temporaryFolder();
  for (const [name, text] of Object.entries(files)) {
    const path = join(folder, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
  const env: Record<string, string | undefined> = { XDG_CONFIG_HOME: join(folder, "home") };
  return {
    folder,
    env,
    route: (name: string, { insecure = false } = {}) => {
      const slash = name.indexOf("/");
      const [domain, path] = [name.slice(0, slash), name.slice(slash + 1)];
      return findRoute({ domain, path, insecure, place: { env, system: folder } });
    },
  };
}

/** Origins; with a question mark where any certificate will do. */
function waysTo({ endpoints }: RegistryHost): readonly string[] {
  return endpoints.map(({ origin, isUnverified }) => `${origin}${isUnverified ? "?" : ""}`);
}
