import { readFile, utimes } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readArchive } from "../support/setup-archive.ts";
import { makeFolder } from "../support/setup-context.ts";
import { errorCode, useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace();
const { cli, context, expectCli, inspect, output } = workspace;

describe("what ends up in the config", () => {
  test("every instruction that makes no layer [3.72, 3.74, 3.78, 3.79, 3.80, 3.81, 3.83, 3.84, 3.86, 3.87]", async () => {
    const folder = await context({
      Dockerfile: `FROM BUSYBOX
MAINTAINER somebody <some@body.example>
ARG VERSION=1.0
ENV NAME=tsbuild VERSION_SEEN=$VERSION QUOTED="a b"
ENV LEGACY two words
LABEL one=1 "two words"="2 3"
WORKDIR /app
WORKDIR sub
EXPOSE 80 53/udp 9000-9001
VOLUME /var/lib/x
VOLUME ["/srv/a b"]
USER app:staff
STOPSIGNAL SIGQUIT
SHELL ["/bin/sh", "-ec"]
HEALTHCHECK --interval=5s --timeout=3s --retries=2 CMD true
ENTRYPOINT ["echo", "hello"]
CMD who am i
`,
    });
    const labels = ["--label", "two words=over", "--label", "three=3"];
    const args = ["--build-arg", "VERSION=2.0", ...labels, folder];
    await expectCli(["build", "-t", "config:1", ...args]);
    const image = await inspect("config:1");
    expect(image).toMatchObject({ Author: "somebody <some@body.example>", Os: "linux" });
    expect(image.Config).toMatchObject({
      User: "app:staff",
      Env: [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "NAME=tsbuild",
        "VERSION_SEEN=2.0",
        "QUOTED=a b",
        "LEGACY=two words",
      ],
      WorkingDir: "/app/sub",
      ExposedPorts: { "53/udp": {}, "80/tcp": {}, "9000/tcp": {}, "9001/tcp": {} },
      Volumes: { "/srv/a b": {}, "/var/lib/x": {} },
      StopSignal: "SIGQUIT",
      Shell: ["/bin/sh", "-ec"],
      Entrypoint: ["echo", "hello"],
      Cmd: ["/bin/sh", "-ec", "who am i"],
      Labels: { one: "1", "two words": "over", three: "3" },
      Healthcheck: {
        Test: ["CMD-SHELL", "true"],
        Interval: 5_000_000_000,
        Timeout: 3_000_000_000,
        Retries: 2,
      },
    });
  });

  test("history tells each instruction in BuildKit's words [3.72, 3.75, 3.79, 3.80, 3.81]", async () => {
    const folder = await context({
      "f.txt": "x",
      Dockerfile: `FROM BUSYBOX
ARG A=1
RUN echo $A >/a
COPY --chmod=600 f.txt /f
WORKDIR /w
ENV K=v
CMD ["x", "y z"]
EXPOSE 80
VOLUME /v
`,
    });
    const archive = join(await makeFolder(), "image.tar");
    await expectCli(["-t", "history:1", "-o", `type=oci,dest=${archive}`, folder]);
    const { config } = await readArchive(archive);
    const told = config.history.map(({ created_by, empty_layer }) => [created_by, empty_layer]);
    expect(told.slice(1)).toEqual([
      ["ARG A=1", true],
      ["RUN |1 A=1 /bin/sh -c echo $A >/a # buildkit", undefined],
      ["COPY --chmod=600 f.txt /f # buildkit", undefined],
      ["WORKDIR /w", undefined],
      ["ENV K=v", true],
      ['CMD ["x" "y z"]', true],
      ["EXPOSE [80/tcp]", true],
      ["VOLUME [/v]", true],
    ]);
  });

  test("ENTRYPOINT clears an inherited CMD but not one of its own stage [3.82]", async () => {
    const folder = await context({
      Dockerfile: `FROM BUSYBOX AS parent
CMD ["inherited"]
FROM parent AS cleared
ENTRYPOINT ["/e"]
FROM parent AS kept
CMD ["own"]
ENTRYPOINT ["/e"]
`,
    });
    await expectCli(["-t", "cleared:1", "--target", "cleared", folder]);
    await expectCli(["-t", "kept:1", "--target", "kept", folder]);
    expect((await inspect("cleared:1")).Config["Cmd"] ?? []).toEqual([]);
    expect((await inspect("kept:1")).Config["Cmd"]).toEqual(["own"]);
  });
});

describe("RUN", () => {
  test("shell form, exec form, SHELL, and the three kinds of heredoc", async () => {
    const folder = await context({
      Dockerfile: `FROM BUSYBOX
RUN echo "shell: $0" >/shell && \\
    # a comment inside
    echo joined >>/shell
RUN ["sh", "-c", "echo exec >/exec"]
SHELL ["/bin/sh", "-xc"]
RUN echo other >/other
RUN <<EOF
set -e
echo first >/heredoc
echo second >>/heredoc
EOF
RUN <<EOF
#!/bin/sh
echo "script $0" >/shebang
EOF
RUN cat <<ONE >/one && cat <<TWO >/two
1
ONE
2
TWO
`,
    });
    await expectCli(["-t", "run:1", folder]);
    const told = await output("run:1", "sh", "-c", "cat /shell /exec /other /heredoc /one /two");
    expect(told).toBe("shell: /bin/sh\njoined\nexec\nother\nfirst\nsecond\n1\n2\n");
    expect(await output("run:1", "cat", "/shebang")).toMatch(/^script /);
  });

  test("gets its environment from the Dockerfile alone", async () => {
    const folder = await context({
      Dockerfile: `FROM BUSYBOX
ARG GIVEN
ARG DEFAULTED=d
ARG UNSET
ENV E=e
RUN env | sort >/env; umask >/umask; pwd >/pwd; test ! -t 0 && test -z "$(cat)"
`,
    });
    const env = { HOST_SECRET: "leak" };
    await expectCli(["-t", "env:1", "--build-arg", "GIVEN=g", folder], { env });
    const lines = (await output("env:1", "cat", "/env")).split("\n");
    expect(lines).toEqual(expect.arrayContaining(["GIVEN=g", "DEFAULTED=d", "E=e", "HOME=/root"]));
    expect(lines.filter((line) => /HOST_SECRET|UNSET|TSBUILD|NODE_/.test(line))).toEqual([]);
    expect(await output("env:1", "sh", "-c", "cat /umask /pwd")).toBe("0022\n/\n");
  });

  test("runs as USER, in WORKDIR, with groups from the image", async () => {
    const folder = await context({
      Dockerfile: `FROM BUSYBOX
USER app
WORKDIR /home/app/made
RUN id >/home/app/id; pwd >>/home/app/id
USER 1234
RUN id -u >/tmp/numeric; id -g >>/tmp/numeric
`,
    });
    await expectCli(["-t", "user:1", folder]);
    const [id, workdir] = (await output("user:1", "cat", "/home/app/id")).split("\n");
    expect(id).toMatch(/^uid=1000\(app\) gid=1000\(app\) groups=/);
    expect(id).toContain("50(staff)");
    expect(workdir).toBe("/home/app/made");
    expect(await output("user:1", "cat", "/tmp/numeric")).toBe("1234\n0\n");
    const owner = await output("user:1", "stat", "-c", "%u:%g %a", "/home/app/made");
    expect(owner).toBe("1000:1000 755\n");
  });

  test("sees its own processes only, no file of the host, and may not mount", async () => {
    const folder = await context({
      Dockerfile: `FROM BUSYBOX
RUN ls -d /proc/[0-9]* | wc -l >/count; test ! -e ${import.meta.dirname}
RUN ! mount -t tmpfs none /mnt 2>/dev/null
`,
    });
    await expectCli(["-t", "isolated:1", folder]);
    expect(Number(await output("isolated:1", "cat", "/count"))).toBeLessThan(8);
  });

  test("deletions and replaced directories reach the image", async () => {
    const folder = await context({
      "d/old": "old",
      Dockerfile: `FROM BUSYBOX
COPY d /d
RUN echo keep >/gone
RUN rm /gone && rm -r /d && mkdir /d && echo new >/d/new
`,
    });
    await expectCli(["-t", "deleted:1", folder]);
    const told = await output("deleted:1", "sh", "-c", "test ! -e /gone && ls -A /d");
    expect(told).toBe("new\n");
  });

  test("leaves nothing of its mounts in the layer", async () => {
    const folder = await context({
      Dockerfile: "FROM scratch\nCOPY --from=BUSYBOX /bin /bin\nRUN true\n",
    });
    const archive = join(await makeFolder(), "image.tar");
    await expectCli(["-t", "stubs:1", "-o", `type=oci,dest=${archive}`, folder]);
    const { layers } = await readArchive(archive);
    expect(layers).toHaveLength(2);
    expect(layers[1]?.entries).toEqual([]);
  });
});

describe("COPY and ADD", () => {
  test("files, folders, patterns, modes, owners and links", async () => {
    const folder = await context({
      "a.txt": "a",
      "b.txt": "b",
      "dir/nested/c": "c",
      "dir/tool": { mode: 0o755, content: "#!/bin/sh\n" },
      "dir/link": { link: "nested/c" },
      "top-link": { link: "a.txt" },
      "spaced name": "s",
      Dockerfile: `FROM BUSYBOX
COPY a.txt /one/as-name
COPY *.txt /many/
COPY dir /tree
COPY top-link /followed
COPY ["spaced name", "/spaced/"]
COPY --chown=app:staff --chmod=640 a.txt /owned
COPY --chown=12:34 dir /numbers
WORKDIR /rel
COPY a.txt .
COPY b.txt sub/
COPY missing* /nothing/
ADD b.txt /added
`,
    });
    await expectCli(["-t", "copy:1", folder]);
    const read = async (script: string): Promise<string> => output("copy:1", "sh", "-c", script);
    expect(await read("cat /one/as-name /many/a.txt /many/b.txt /tree/link")).toBe("aabc");
    expect(await read("cat /followed '/spaced/spaced name' /rel/a.txt /rel/sub/b.txt")).toBe(
      "asab",
    );
    expect(await read("cat /added; readlink /tree/link")).toBe("bnested/c\n");
    expect(await read("test ! -e /nothing && test ! -L /followed && echo ok")).toBe("ok\n");
    const paths = "/owned /numbers /numbers/tool /tree/tool /one";
    expect(await read(`stat -c '%n %u:%g %a' ${paths}`)).toBe(
      "/owned 1000:50 640\n/numbers 12:34 755\n/numbers/tool 12:34 755\n/tree/tool 0:0 755\n/one 0:0 755\n",
    );
  });

  test("files written in the Dockerfile, expanded or not", async () => {
    const folder = await context({
      Dockerfile: `FROM BUSYBOX
ENV WHO=me
COPY <<EXPANDED <<'RAW' /here/
it is $WHO
EXPANDED
it is $WHO
RAW
COPY --chmod=0755 <<-TABS /tool
\t#!/bin/sh
\techo from a heredoc
\tTABS
`,
    });
    await expectCli(["-t", "here:1", folder]);
    const told = await output("here:1", "sh", "-c", "cat /here/EXPANDED /here/RAW; /tool");
    expect(told).toBe("it is me\nit is $WHO\nfrom a heredoc\n");
  });

  test("copied layers have the same digest in every store and at every time", async () => {
    const digests: unknown[] = [];
    for (let round = 0; round < 2; round++) {
      const root = await workspace.freshRoot();
      const folder = await context({
        Dockerfile: "FROM scratch\nCOPY d /d\nWORKDIR /w\n",
        "d/a": "1",
        "d/e/b": "2",
      });
      // The files' own times are part of the layer; nothing else may come from the clock.
      for (const name of ["d/a", "d/e/b", "d/e", "d"]) await utimes(join(folder, name), 1, 1_000);
      await expectCli(["-t", "same:1", folder], { root });
      const { stdout } = await expectCli(["inspect", "same:1"], { root });
      digests.push((JSON.parse(stdout) as { RootFS: unknown }[])[0]?.RootFS);
    }
    expect(digests[0]).toEqual(digests[1]);
  });
});

describe("the command", () => {
  test("`build` may be left out, and flags may follow the context", async () => {
    const folder = await context({ Dockerfile: "FROM BUSYBOX\nENV A=b\n" });
    await expectCli([folder, "-t", "short:1", "-t", "short:2"]);
    expect((await inspect("short:1")).Id).toBe((await inspect("short:2")).Id);
  });

  test("-q prints the image's id and nothing else; --iidfile writes it", async () => {
    const folder = await context({ Dockerfile: "FROM BUSYBOX\nRUN echo loud\n" });
    const file = join(await makeFolder(), "iid");
    const { stdout, stderr } = await expectCli(["-q", "-t", "quiet:1", "--iidfile", file, folder]);
    expect(stdout).toMatch(/^sha256:[0-9a-f]{64}\n$/);
    expect(stderr).toBe("");
    expect(await readFile(file, "utf8")).toBe(stdout.trim());
    expect((await inspect("quiet:1")).Id).toBe(stdout.trim());
  });

  test("progress goes to stderr only, and `quiet` shows none", async () => {
    const folder = await context({ Dockerfile: "FROM BUSYBOX\nRUN echo some-$((40+2))-output\n" });
    const { stdout, stderr } = await expectCli(["--progress", "plain", "-t", "loud:1", folder]);
    expect(stderr).toContain("some-42-output");
    expect(stdout).not.toContain("some-42-output");
    const quiet = await expectCli(["--progress", "quiet", "--no-cache", "-t", "loud:1", folder]);
    expect(quiet.stderr).toBe("");
  });

  test("-f is relative to the caller's folder and may lie outside of the context", async () => {
    const elsewhere = await context({ "My.Dockerfile": "FROM BUSYBOX\nCOPY f /f\n" });
    const folder = await context({ f: "from the context" });
    await expectCli(["-f", "My.Dockerfile", "-t", "file:1", folder], { cwd: elsewhere });
    expect(await output("file:1", "cat", "/f")).toBe("from the context");
  });

  test("`.` is the caller's folder, and --root stands before or behind the verb", async () => {
    const folder = await context({ Dockerfile: "FROM BUSYBOX\n" });
    const root = await workspace.freshRoot();
    await expectCli(["--root", root, "build", "-t", "dot:1", "."], { cwd: folder });
    const { stdout } = await expectCli(["images", "--root", root]);
    expect(stdout).toMatch(/^dot +1 /m);
    expect((await expectCli(["images"])).stdout).not.toMatch(/^dot /m);
  });

  test("--network none leaves RUN with a loopback only", async () => {
    const folder = await context({ Dockerfile: "FROM BUSYBOX\nRUN ls /sys/class/net >/net\n" });
    await expectCli(["--network", "none", "-t", "net:1", folder]);
    expect(await output("net:1", "cat", "/net")).toBe("lo\n");
  });

  test("--platform of this machine is taken and told to the Dockerfile", async () => {
    const folder = await context({
      Dockerfile: "FROM scratch\nARG TARGETARCH\nLABEL arch=$TARGETARCH\n",
    });
    const architecture = process.arch === "x64" ? "amd64" : process.arch;
    await expectCli(["--platform", `linux/${architecture}`, "-t", "platform:1", folder]);
    const image = await inspect("platform:1");
    expect(image.Architecture).toBe(architecture);
    expect(image.Config["Labels"]).toEqual({ arch: architecture });
  });

  test("--isolation builtin and oci make the same file system", async (test) => {
    const folder = await context({ Dockerfile: "FROM BUSYBOX\nRUN id >/id; pwd >>/id\n" });
    await expectCli(["--isolation", "builtin", "-t", "builtin:1", folder]);
    const oci = await cli(["--isolation", "oci", "--no-cache", "-t", "oci:1", folder]);
    if (errorCode(oci) === "SANDBOX_UNAVAILABLE") test.skip("no OCI runtime works here");
    expect(oci).toMatchObject({ code: 0 });
    expect(await output("oci:1", "cat", "/id")).toBe(await output("builtin:1", "cat", "/id"));
  });
});
