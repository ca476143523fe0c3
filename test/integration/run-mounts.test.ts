import { chmod, mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { toRootPath } from "../../src/layer/index.ts";
import { expectCode } from "../support/expect-code.ts";
import { useRunBuilds, type RunBuilds } from "../support/run-builds.ts";

const secretsOf = (secrets: Readonly<Record<string, string>>) => ({
  given: {
    readSecret: (id: string) =>
      Promise.resolve(secrets[id] === undefined ? undefined : Buffer.from(secrets[id])),
  },
});

describe.each(["builtin", "oci"] as const)("RUN --mount in the %s sandbox", (isolation) => {
  const builds = useRunBuilds(isolation);
  describe("bind", () => bindMounts(builds));
  describe("tmpfs", () => tmpfsMounts(builds));
  describe("cache", () => cacheMounts(builds));
  describe("secret", () => secretMounts(builds));
  describe("mount points", () => mountPoints(builds));
});

function bindMounts(builds: RunBuilds): void {
  const source = [
    "FROM base AS src",
    "RUN mkdir -p /out/deep && echo content > /out/deep/file && ln -s /out/deep /link && ln -s ../../../etc /out/up && chown -R 7:8 /out",
    "FROM base",
  ].join("\n");

  test("shows a directory of a stage, with its owners and modes [3.31]", async () => {
    const told = await builds.run(
      `${source}\nRUN --mount=from=src,source=/out,target=/in stat -c '%u:%g' /in/deep /in/deep/file && cat /in/deep/file`,
    );
    expect(told).toContain("7:8\n7:8\ncontent\n");
  });

  test("shows a single file [3.31]", async () => {
    const told = await builds.run(
      `${source}\nRUN --mount=from=SRC,source=/out/deep/file,target=/in/one cat /in/one; ls /in`,
    );
    expect(told).toContain("content\none\n");
  });

  test("follows symlinks of the source inside its own root [3.30, 3.31]", async () => {
    const told = await builds.run(
      `${source}\nRUN --mount=from=src,source=/link,target=/a --mount=from=src,source=out/up/passwd,target=/b cat /a/file && head -n1 /b`,
    );
    expect(told).toContain("content\nroot:x:0:0");
  });

  test("cannot be written to, unless rw says so, and then nothing is kept [3.31, 3.39]", async () => {
    const told = await builds.run(
      `${source}\nRUN --mount=from=src,source=/out,target=/in touch /in/new 2>&1 || true`,
    );
    expect(told).toContain("Read-only file system");
    const built = await builds.harness.build(
      `${source}\nRUN --mount=from=src,source=/out,target=/in,rw echo new > /in/new && rm /in/deep/file && ls /in\nRUN --mount=from=src,source=/out,target=/in find /in | sort`,
    );
    expect(builds.harness.output()).toContain("deep\nnew\n");
    expect(builds.harness.output()).toContain("/in\n/in/deep\n/in/deep/file\n/in/up\n");
    expect(await builds.topLayer(built)).toEqual([]);
  });

  test("an empty root is an empty directory [3.30]", async () => {
    const told = await builds.run(
      "FROM scratch AS empty\nFROM base\nRUN --mount=from=empty,target=/in ls -a /in && echo done",
    );
    expect(told).toBe(".\n..\ndone\n");
  });

  test("without from it is the build context, owned by root [3.30]", async () => {
    await builds.put({ "src/app.js": "app", "src/lib/x.js": "x" });
    await chmod(join(builds.context, "src/app.js"), 0o640);
    const told = await builds.run(
      "FROM base\nRUN --mount=source=src,target=/in cat /in/app.js /in/lib/x.js && stat -c ' %a %u:%g' /in/app.js\nRUN --mount=source=src/app.js,target=/in/one cat /in/one",
    );
    expect(told).toBe("appx 640 0:0\napp");
  });

  test("without a target it lies on the working directory [3.29]", async () => {
    await builds.put({ "only.txt": "here" });
    const told = await builds.run("FROM base\nWORKDIR /w\nRUN --mount=type=bind cat only.txt");
    expect(told).toBe("here");
  });

  test("what .dockerignore excludes is not mounted [5.12]", async () => {
    await builds.put({ ".dockerignore": "hidden\n", hidden: "x", shown: "y" });
    const told = await builds.run("FROM base\nRUN --mount=target=/in ls -a /in");
    expect(told).not.toContain("hidden");
    expect(told).toContain("shown");
    await builds.put({ ".dockerignore": null, hidden: null });
  });

  test("a source that is not there is told as COPY tells it [3.44]", async () => {
    await expect(
      builds.harness.build("FROM base\nRUN --mount=source=absent,target=/in ls"),
    ).rejects.toMatchObject({
      code: "CONTEXT_SOURCE_NOT_FOUND",
      message: expect.stringContaining('"/absent": not found'),
      location: { line: 2 },
    });
  });

  test("a symlink of the context leads nowhere outside [3.31, 3.47]", async () => {
    await mkdir(builds.context, { recursive: true });
    await symlink("/etc/shadow", join(builds.context, "evil"));
    await expectCode(
      builds.harness.build("FROM base\nRUN --mount=source=evil,target=/in cat /in"),
      "CONTEXT_SOURCE_NOT_FOUND",
    );
    await builds.put({ evil: null });
  });

  test("only what is mounted counts for the cache [6.2, 6.8]", async () => {
    const dockerfile = "FROM base\nRUN --mount=source=part,target=/in cat /in/a";
    await builds.put({ "part/a": "one", other: "1" });
    await builds.run(dockerfile);
    await builds.put({ other: "2" });
    expect(await builds.run(dockerfile)).toBe("");
    await builds.put({ "part/a": "two" });
    expect(await builds.run(dockerfile)).toBe("two");
    await chmod(join(builds.context, "part/a"), 0o600);
    expect(await builds.run(dockerfile)).toBe("two");
  });

  test("a stage that is made anew with the same files is the same [6.2]", async () => {
    const dockerfile = (more: string): string =>
      `FROM base AS src\nRUN mkdir /out && echo same > /out/f\nRUN echo ${more} > /else\nFROM base\nRUN --mount=from=src,source=/out,target=/in cat /in/f`;
    expect(await builds.run(dockerfile("first"))).toBe("same\n");
    expect(await builds.run(dockerfile("second"))).toBe("");
  });
}

function tmpfsMounts(builds: RunBuilds): void {
  test("has its size and flags, and its content is dropped [3.34, 3.39]", async () => {
    const built = await builds.harness.build(
      [
        "FROM base",
        "RUN --mount=type=tmpfs,target=/t,size=1m head -c 900000 /dev/zero > /t/fits; head -c 2000000 /dev/zero > /t/much || echo no space left; grep ' /t ' /proc/mounts",
      ].join("\n"),
    );
    const told = builds.harness.output();
    expect(told).toContain("no space left");
    expect(told).toMatch(/^tmpfs \/t tmpfs rw,.*nosuid.*size=1024k/m);
    expect(await builds.topLayer(built)).toEqual([]);
  });

  test("ro takes nothing [3.34]", async () => {
    const told = await builds.run(
      "FROM base\nRUN --mount=type=tmpfs,target=/t,ro touch /t/x 2>&1 || true",
    );
    expect(told).toContain("Read-only file system");
  });
}

function cacheMounts(builds: RunBuilds): void {
  test("keeps what steps write, and no layer has it [3.32, 3.39]", async () => {
    const step = (n: number): string =>
      `FROM base\nRUN --mount=type=cache,target=/keep echo ${String(n)} >> /keep/log && cat /keep/log`;
    await builds.run(step(1));
    const built = await builds.harness.build(step(2));
    expect(builds.harness.output()).toBe("1\n2\n");
    expect(await builds.topLayer(built)).toEqual([]);
  });

  test("the id tells caches apart, the target is the default [3.32]", async () => {
    const told = await builds.run(
      [
        "FROM base",
        "RUN --mount=type=cache,target=/ids touch /ids/a",
        "RUN --mount=type=cache,target=/elsewhere,id=/ids ls /elsewhere",
        "RUN --mount=type=cache,target=/ids,id=other ls /ids",
      ].join("\n"),
    );
    expect(told).toBe("a\n");
  });

  test("BUILDKIT_CACHE_MOUNT_NS separates them [6.17]", async () => {
    const dockerfile = (text: string): string =>
      `FROM base\nRUN --mount=type=cache,target=/spaces echo ${text} >> /spaces/f && cat /spaces/f`;
    const inSpace = (name: string) => ({ buildArgs: { BUILDKIT_CACHE_MOUNT_NS: name } });
    expect(await builds.run(dockerfile("a"), inSpace("one"))).toBe("a\n");
    expect(await builds.run(dockerfile("b"), inSpace("two"))).toBe("b\n");
    expect(await builds.run(dockerfile("c"), inSpace("one"))).toBe("a\nc\n");
  });

  test("uid, gid and mode shape a new one, which is another one [3.32]", async () => {
    const told = await builds.run(
      [
        "FROM base",
        "RUN --mount=type=cache,target=/looks stat -c '%a %u:%g' /looks && touch /looks/plain",
        "RUN --mount=type=cache,target=/looks,uid=3,gid=4,mode=0700 stat -c '%a %u:%g' /looks && ls /looks",
        "RUN --mount=type=cache,target=/looks,mode=0755 ls /looks",
      ].join("\n"),
    );
    expect(told).toBe("755 0:0\n700 3:4\n");
  });

  test("from and source give it its first content [3.32]", async () => {
    const dockerfile = (n: string): string =>
      [
        "FROM base AS seed",
        "RUN mkdir -p /s/sub && echo seed > /s/sub/f && chown -R 5:6 /s && chmod 750 /s/sub",
        "FROM base",
        `RUN --mount=type=cache,target=/seeded,from=seed,source=/s/sub stat -c '%a %u:%g' /seeded; cat /seeded/f; echo ${n} >> /seeded/f`,
      ].join("\n");
    expect(await builds.run(dockerfile("1"))).toContain("750 5:6\nseed\n");
    expect(await builds.run(dockerfile("2"))).toContain("seed\n1\n");
  });

  test("ro shows it without writing; source is a place in it [3.32]", async () => {
    const told = await builds.run(
      [
        "FROM base",
        "RUN --mount=type=cache,target=/place,source=a/b echo deep > /place/f",
        "RUN --mount=type=cache,target=/place,ro find /place | sort; touch /place/x 2>&1 || true",
      ].join("\n"),
    );
    expect(told).toContain("/place\n/place/a\n/place/a/b\n/place/a/b/f\n");
    expect(told).toContain("Read-only file system");
  });

  test.each(["/etc", "../../../../../../../../etc", "/proc/self/root/etc"])(
    "a source that leads out by a link to %s fails [3.32]",
    async (link) => {
      const cache = `type=cache,id=hostile-${link.replaceAll(/\W/g, "-")}`;
      await builds.run(`FROM base\nRUN --mount=${cache},target=/c ln -s ${link} /c/out`);
      for (const place of ["out", "out/deeper"]) {
        await expectCode(
          builds.harness.build(`FROM base\nRUN --mount=${cache},target=/c,source=${place} ls /c`),
          "BUILD_MOUNT_INVALID",
        );
      }
    },
  );

  test("one id is one directory within a RUN, also when it is locked [3.33]", async () => {
    const told = await builds.run(
      "FROM base\nRUN --mount=type=cache,id=twice,target=/a,sharing=locked --mount=type=cache,id=twice,target=/b,sharing=locked echo x > /a/f && cat /b/f",
    );
    expect(told).toBe("x\n");
  });

  test("a step that fails leaves its writes there, and no layer and no record [6.18]", async () => {
    const dockerfile = (end: string): string =>
      `FROM base\nRUN --mount=type=cache,target=/failing ls /failing; touch /failing/mark /mark; ${end}`;
    const before = await builds.harness.kept();
    await expect(builds.harness.build(dockerfile("exit 3"))).rejects.toMatchObject({
      message:
        'process "/bin/sh -c ls /failing; touch /failing/mark /mark; exit 3" did not complete successfully: exit code: 3',
    });
    expect(await builds.harness.kept()).toEqual(before);
    expect(await builds.run(dockerfile("true"))).toBe("mark\n");
  });

  test("--no-cache empties those in use first, once a build [6.16]", async () => {
    const step = "RUN --mount=type=cache,id=fresh,target=/c echo $0 >> /c/log; cat /c/log";
    const dockerfile = `FROM base\n${step}\n${step} # again`;
    await builds.run(dockerfile);
    expect(await builds.run(dockerfile, { noCache: true })).toBe("/bin/sh\n/bin/sh\n/bin/sh\n");
  });

  test("neither its id nor how it is shared nor what it holds is in the key [6.3]", async () => {
    const dockerfile = (options: string): string =>
      `FROM base\nRUN --mount=type=cache,target=/keyed${options} echo ran`;
    expect(await builds.run(dockerfile(""))).toBe("ran\n");
    expect(await builds.run(dockerfile(",id=else,sharing=locked"))).toBe("");
    expect(await builds.run(dockerfile(",ro"))).toBe("ran\n");
  });
}

function secretMounts(builds: RunBuilds): void {
  test("a file in memory: root's alone, not to be executed [3.35]", async () => {
    const told = await builds.run(
      "FROM base\nRUN --mount=type=secret,id=tok cat /run/secrets/tok; stat -c ' %a %u:%g' /run/secrets/tok; grep ' /run/secrets/tok ' /proc/mounts; touch /run/secrets/tok || echo kept",
      secretsOf({ tok: "t0ken" }),
    );
    expect(told).toContain("t0ken 400 0:0\n");
    expect(told).toMatch(/^tmpfs \/run\/secrets\/tok tmpfs ro,.*nosuid.*noexec/m);
    expect(told).toContain("kept");
  });

  test("target, mode and owner as asked; with an x bit it runs [3.35]", async () => {
    const told = await builds.run(
      "FROM base\nRUN --mount=type=secret,id=prog,target=/opt/prog,mode=0555,uid=11,gid=12 stat -c '%a %u:%g' /opt/prog && /opt/prog",
      secretsOf({ prog: "#!/bin/sh\necho ran as a secret\n" }),
    );
    expect(told).toBe("555 11:12\nran as a secret\n");
  });

  test("a variable, or both [3.35]", async () => {
    const told = await builds.run(
      "FROM base\nENV B=old\nRUN --mount=type=secret,id=a,env=A --mount=type=secret,id=b,env=B,target=/b echo $A-$B-$(cat /b); ls /run/secrets 2>&1; env | grep -c ^B=",
      secretsOf({ a: "one", b: "two" }),
    );
    expect(told).toContain("one-two-two\n");
    expect(told).toContain("No such file");
    expect(told).toMatch(/^1$/m);
  });

  test("the largest there may be arrives whole [3.35]", async () => {
    const told = await builds.run(
      "FROM base\nRUN --mount=type=secret,id=big sha256sum < /run/secrets/big | cut -c1-16; wc -c < /run/secrets/big",
      secretsOf({ big: "x".repeat(500 * 1024) }),
    );
    expect(told).toMatch(/^[0-9a-f]{16}\n512000\n$/);
  });

  test("an empty one is an empty file [3.36]", async () => {
    const told = await builds.run(
      "FROM base\nRUN --mount=type=secret,id=none wc -c /run/secrets/none",
      secretsOf({ none: "" }),
    );
    expect(told).toBe("0 /run/secrets/none\n");
  });

  test("one that is missing: no file, an empty variable [3.36]", async () => {
    const told = await builds.run(
      'FROM base\nRUN --mount=type=secret,id=gone --mount=type=secret,id=gone,env=GONE ls /run/secrets 2>&1; echo "[${GONE-unset}]"',
    );
    expect(told).toContain("No such file");
    expect(told).toContain("[]");
  });

  test("one that is missing and required stops the step [3.36]", async () => {
    await expect(
      builds.harness.build("FROM base\nRUN --mount=type=secret,id=X,required ls"),
    ).rejects.toMatchObject({
      code: "BUILD_SECRET_NOT_FOUND",
      message: "secret X: not found",
      location: { line: 2 },
    });
  });

  test("its content is not in the key, its id is [6.2, 6.3]", async () => {
    const dockerfile = (id: string): string =>
      `FROM base\nRUN --mount=type=secret,id=${id},target=/k cat /k`;
    expect(await builds.run(dockerfile("k1"), secretsOf({ k1: "first" }))).toBe("first");
    expect(await builds.run(dockerfile("k1"), secretsOf({ k1: "second" }))).toBe("");
    expect(await builds.run(dockerfile("k2"), secretsOf({ k2: "third" }))).toBe("third");
  });

  test("an error tells the end of the output without it [3.35]", async () => {
    const failing = builds.harness.build(
      "FROM base\nRUN --mount=type=secret,id=s echo before; cat /run/secrets/s; exit 1",
      secretsOf({ s: "line-one-of-it\nline-two-of-it\n" }),
    );
    await expect(failing).rejects.toMatchObject({ details: { outputTail: "before\n****\n" } });
  });
}

function mountPoints(builds: RunBuilds): void {
  test("what the image lacks leaves no trace, and parents keep their times [3.23]", async () => {
    const built = await builds.harness.build(
      [
        "FROM base",
        "RUN mkdir /old && touch -d @1000000000 /old /etc /",
        "RUN --mount=type=cache,target=/old/a/b/c --mount=type=tmpfs,target=/new/x --mount=type=secret,id=s,target=/etc/deep/s true",
        "RUN stat -c %Y /old /etc; ls -A /old; ls -d /new /etc/deep 2>&1 || true",
      ].join("\n"),
      secretsOf({ s: "x" }),
    );
    expect(builds.harness.output()).toContain("1000000000\n1000000000\n");
    expect(builds.harness.output()).not.toMatch(/^a$/m);
    expect(builds.harness.output().match(/No such file/g)).toHaveLength(2);
    expect(await builds.topLayer(built)).toEqual([]);
  });

  test("where a layer removed something, they are made and removed again [3.23]", async () => {
    const built = await builds.harness.build(
      [
        "FROM base",
        "RUN mkdir -p /gone/in && touch -d @1000000000 /",
        "RUN rm -r /gone && touch -d @1000000000 /",
        "RUN --mount=type=tmpfs,target=/gone/in --mount=type=secret,id=s,target=/gone/s ls /gone",
        "RUN ls -d /gone 2>&1; stat -c %Y /",
      ].join("\n"),
      secretsOf({ s: "x" }),
    );
    expect(builds.harness.output()).toContain("in\ns\n");
    expect(builds.harness.output()).toContain("No such file");
    expect(builds.harness.output()).toContain("1000000000");
    const tree = await builds.treeOf(built);
    expect(await tree.lstat(toRootPath("gone"))).toBeUndefined();
  });

  test("of two targets that links lead to one place, the last in order counts [3.29]", async () => {
    const told = await builds.run(
      [
        "FROM base",
        "RUN mkdir /r && ln -s /r /l",
        "RUN --mount=type=secret,id=a,target=/r/x --mount=type=secret,id=b,target=/l/x cat /l/x",
        "RUN --mount=type=tmpfs,target=/r --mount=type=cache,target=/l grep -c ' /r ' /proc/mounts",
      ].join("\n"),
      secretsOf({ a: "of r;", b: "of l;" }),
    );
    expect(told).toContain("of r;");
    expect(told).toMatch(/;1\n/);
  });

  test("what is mounted on /etc/hosts or /etc/resolv.conf goes before what is made for them [3.22, 3.29]", async () => {
    const told = await builds.run(
      [
        "FROM base",
        "RUN --mount=type=secret,id=a,target=/etc/hosts --mount=from=base,source=/etc/passwd,target=/etc/resolv.conf cat /etc/hosts && head -n1 /etc/resolv.conf",
      ].join("\n"),
      secretsOf({ a: "my hosts\n" }),
    );
    expect(told).toContain("my hosts\nroot:x:0:0");
  });

  test("what a step puts beside them stays [3.23]", async () => {
    const built = await builds.harness.build(
      "FROM base\nRUN --mount=type=tmpfs,target=/made/mount touch /made/kept",
    );
    const paths = await builds.topLayer(built);
    expect(paths).toContain("made/kept");
    expect(paths).not.toContain("made/mount");
  });

  test("a mount in a mount finds its place there, sorted by target [3.29]", async () => {
    const told = await builds.run(
      "FROM base\nRUN --mount=type=cache,id=inner,target=/outer/deep/inner --mount=type=tmpfs,target=/outer touch /outer/deep/inner/x && find /outer | sort",
    );
    expect(told).toBe("/outer\n/outer/deep\n/outer/deep/inner\n/outer/deep/inner/x\n");
  });

  test("what leads there through a link of the image works [3.23]", async () => {
    const told = await builds.run(
      "FROM base\nRUN mkdir /real && ln -s /real /alias\nRUN --mount=type=tmpfs,target=/alias/t grep -c ' /real/t ' /proc/mounts",
    );
    expect(told).toBe("1\n");
  });
}
