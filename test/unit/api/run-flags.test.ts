import { once } from "node:events";
import { mkdir, open, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { readLimits } from "../../../src/api/build/run/limits.ts";
import { openSecrets } from "../../../src/api/build/run/secrets.ts";
import { readRunSettings } from "../../../src/api/build/run/settings.ts";
import { openSshAgents } from "../../../src/api/build/run/ssh.ts";
import { expectCode } from "../../support/expect-code.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

describe("--add-host", () => {
  test.each([
    ["db:192.0.2.1", [{ name: "db", address: "192.0.2.1" }]],
    ["db=192.0.2.1", [{ name: "db", address: "192.0.2.1" }]],
    ["db:2001:db8::1", [{ name: "db", address: "2001:db8::1" }]],
    ["db=[2001:db8::1]", [{ name: "db", address: "2001:db8::1" }]],
    [
      "db=192.0.2.1,[::1]",
      [
        { name: "db", address: "192.0.2.1" },
        { name: "db", address: "::1" },
      ],
    ],
    ["up:host-gateway", [{ name: "up", address: "127.0.0.1" }]],
  ])("%s", (text, extraHosts) => {
    expect(readRunSettings({ addHosts: [text] }).runSettings).toEqual({ extraHosts });
  });

  test.each(["db", "db:", ":192.0.2.1", "db:nowhere", "a b:192.0.2.1", "db=192.0.2.1,"])(
    "%j is refused",
    (text) => {
      expect(() => readRunSettings({ addHosts: [text] })).toThrow(/--add-host/);
    },
  );
});

describe("--ulimit", () => {
  test.each([
    ["nofile=1024", { name: "nofile", soft: 1024, hard: 1024 }],
    ["nproc=10:20", { name: "nproc", soft: 10, hard: 20 }],
    ["core=-1", { name: "core", soft: -1, hard: -1 }],
    ["cpu=5:-1", { name: "cpu", soft: 5, hard: -1 }],
  ])("%s", (text, ulimit) => {
    expect(readRunSettings({ ulimits: [text] }).runSettings).toEqual({ ulimits: [ulimit] });
  });

  test.each([
    "nofile=99999999999999999999",
    "nofile",
    "nofile=x",
    "files=1",
    "nofile=2:1",
    "nofile=-1:5",
  ])("%s is refused", (text) => {
    expect(() => readRunSettings({ ulimits: [text] })).toThrow(/ulimit/);
  });
});

test("--shm-size and --cgroup-parent", () => {
  expect(readRunSettings({ shmSize: "1.5m", cgroupParent: "builds/mine" }).runSettings).toEqual({
    shmSize: 1572864,
    cgroupParent: "/builds/mine",
  });
  expect(() => readRunSettings({ shmSize: "much" })).toThrow(/invalid size/);
  expect(() => readRunSettings({ cgroupParent: "../up" })).toThrow(/--cgroup-parent/);
});

test("--allow takes what docker/buildx knows and grants what is here [3.24, 3.25]", () => {
  const allow = ["network.host,device=x", "security.insecure", "buildx.local.delete"];
  expect([...(readRunSettings({ allow }).entitlements ?? [])]).toEqual([
    "network.host",
    "security.insecure",
  ]);
  expect(() => readRunSettings({ allow: ["root"] })).toThrow(/invalid entitlement: root/);
});

describe("--resource", () => {
  test("every limit, one by one or as a list", () => {
    const resources = [
      "memory=64m,memory-swap=-1",
      "cpu-shares=2",
      "cpuset-cpus=0-1,3,cpu-quota=7",
    ];
    expect(readLimits({ resources })).toEqual({
      memory: 64 * 1024 * 1024,
      memorySwap: -1,
      cpuShares: 2,
      cpusetCpus: "0-1,3",
      cpuQuota: 7,
    });
    expect(readLimits({})).toBeUndefined();
  });

  test.each(["memory", "memory=lots", "disk=1", "cpu-shares=-1", "cpuset-cpus=a"])(
    "%s is refused",
    (text) => {
      expect(() => readLimits({ resources: [text] })).toThrow(/invalid/);
    },
  );
});

describe("--secret", () => {
  const read = async (text: string | string[], id: string, env = {}): Promise<string | undefined> =>
    (await (await openSecrets([text].flat(), env)).read(id))?.toString();

  test("a file, by every name of its key", async () => {
    const path = join(await temporaryFolder(), "token");
    await writeFile(path, "from a file");
    for (const text of [`id=a,src=${path}`, `id=a,source=${path}`, `type=file,src=${path},ID=a`]) {
      expect(await read(text, "a")).toBe("from a file");
      expect(await read(text, "b")).toBeUndefined();
    }
  });

  test("a file with commas in its name, in quotes", async () => {
    const path = join(await temporaryFolder(), 'a,b "c"');
    await writeFile(path, "between commas");
    const quoted = `"src=${path.replaceAll('"', '""')}"`;
    for (const text of [`id=a,${quoted}`, `${quoted},"id=a"`])
      expect(await read(text, "a")).toBe("between commas");
    await expectCode(openSecrets([`id=a,src=${path}`]), "USAGE");
  });

  test("a variable; without a type one of the id's name goes before a file", async () => {
    const env = { TOKEN: "t", a: "of the id" };
    expect(await read("id=a,env=TOKEN", "a", env)).toBe("t");
    expect(await read("id=a,type=env,src=TOKEN", "a", env)).toBe("t");
    expect(await read("id=a,type=env", "a", env)).toBe("of the id");
    expect(await read("id=a", "a", env)).toBe("of the id");
    expect(await read("id=a,env=ABSENT", "a", env)).toBeUndefined();
  });

  test("of two with one id the later counts", async () => {
    const env = { ONE: "1", TWO: "2" };
    expect(await read(["id=a,env=ONE", "id=a,env=TWO"], "a", env)).toBe("2");
  });

  test("more than 500 KiB are refused", async () => {
    const path = join(await temporaryFolder(), "big");
    await writeFile(path, Buffer.alloc(500 * 1024 + 1));
    const tooBig = "secret a too big. max size 500KB";
    await expectCode(openSecrets([`id=a,src=${path}`]), "SECRET_UNREADABLE");
    await expect(openSecrets([`id=a,src=${path}`])).rejects.toThrow(tooBig);
    const env = { BIG: "x".repeat(500 * 1024 + 1) };
    await expectCode(read("id=a,env=BIG", "a", env), "SECRET_UNREADABLE");
  });

  test("a file that is not there, or a folder, is told at once", async () => {
    await expectCode(openSecrets(["id=a,src=/no/such/file"]), "SECRET_UNREADABLE");
    await expectCode(openSecrets(["id=a,src=/etc"]), "SECRET_UNREADABLE");
    await expect(openSecrets(["id=a,src=/etc"])).rejects.toThrow(/: it is a directory$/);
  });

  test.each(["src=x", "id=a,key", "id=a,key=b", "id=a,type=vault", ""])(
    "%j is refused",
    async (text) => {
      await expectCode(openSecrets([text]), "USAGE");
    },
  );
});

describe("--ssh", () => {
  test("default needs an agent", async () => {
    const directory = await temporaryFolder();
    await expectCode(openSshAgents(["default"], { directory, env: {} }), "SSH_UNAVAILABLE");
    await expectCode(
      openSshAgents(["a=/no/such/socket"], { directory, env: {} }),
      "SSH_UNAVAILABLE",
    );
  });

  test.each([[["=x"]], [["a="]], [["a=/etc/passwd", "a=/etc/group"]]])(
    "%j is refused",
    async (texts) => {
      const directory = await temporaryFolder();
      await expectCode(openSshAgents(texts, { directory, env: {} }), "USAGE");
    },
  );

  test("a socket stands for itself, also behind a path too long for an address", async () => {
    const directory = await temporaryFolder();
    const folder = join(directory, "long".repeat(30));
    await mkdir(folder);
    const handle = await open(folder);
    const server = createServer((client) => client.end("hello"));
    server.listen(`/proc/self/fd/${String(handle.fd)}/agent`);
    await once(server, "listening");
    onTestFinished(async () => {
      server.close();
      await handle.close();
    });
    const agents = await openSshAgents([`mine=${join(folder, "agent")}`], { directory, env: {} });
    const connect = await agents.find("mine");
    const said = await new Promise((resolve) => connect?.().on("data", resolve));
    expect(String(said)).toBe("hello");
    expect(await agents.find("other")).toBeUndefined();
    await agents.close();
  });
});
