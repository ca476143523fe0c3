import { expect, test } from "vitest";
import { outcomesOf, readSteps } from "../support/setup-progress.ts";
import { useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace();
const { context, expectCli, inspect, output } = workspace;
const raw = ["--progress", "rawjson"];

test("COPY --from takes files, owners and modes from a stage, but nothing of its config [4.7]", async () => {
  const folder = await context({
    Dockerfile: `FROM BUSYBOX AS Builder
ENV ONLY_HERE=1
WORKDIR /out
RUN echo made >file && chown 1000:50 file && chmod 750 file && ln -s file link && mkdir -p d/e && echo x >d/e/x
FROM BUSYBOX
COPY --from=builder /out/file /by-name
COPY --from=0 /out /by-index
COPY --from=BUSYBOX /etc/passwd /from-image
`,
  });
  await expectCli(["-t", "stages:1", folder]);
  const paths = "/by-name /by-index/file /by-index/d/e/x";
  expect(await output("stages:1", "stat", "-c", "%n %u:%g %a", ...paths.split(" "))).toBe(
    "/by-name 1000:50 750\n/by-index/file 1000:50 750\n/by-index/d/e/x 0:0 644\n",
  );
  expect(await output("stages:1", "readlink", "/by-index/link")).toBe("file\n");
  expect(await output("stages:1", "head", "-n1", "/from-image")).toMatch(/^root:/);
  expect((await inspect("stages:1")).Config["Env"]).not.toContain("ONLY_HERE=1");
});

test("only what the target reaches is built [3.13, 4.1, 4.2]", async () => {
  const folder = await context({
    Dockerfile: `FROM BUSYBOX AS base
RUN echo base >/base
FROM 127.0.0.1:1/nowhere/unreachable AS never
RUN exit 99
FROM base AS wanted
RUN echo wanted >/wanted
FROM base AS last
COPY --from=never / /
`,
  });
  const args = ["-t", "target:1", "--target", "WANTED"];
  const { stderr } = await expectCli([...raw, ...args, folder]);
  expect(outcomesOf(stderr)).toEqual({
    "RUN echo base >/base": "done",
    "RUN echo wanted >/wanted": "done",
  });
  expect(readSteps(stderr).filter(({ name }) => name.includes("unreachable"))).toEqual([]);
});

test("a stage that starts from another inherits its files, ENV, ARG, WORKDIR and USER", async () => {
  const folder = await context({
    Dockerfile: `ARG TAG=1
FROM BUSYBOX AS parent
ARG WORD=inherited
ENV E=env
WORKDIR /home/app
USER app
FROM parent
RUN echo "$WORD $E $(pwd) $(id -un)" >told
`,
  });
  await expectCli(["-t", "inherit:1", folder]);
  expect(await output("inherit:1", "cat", "/home/app/told")).toBe("inherited env /home/app app\n");
});

test("ARG before FROM chooses the base", async () => {
  const folder = await context({
    Dockerfile: "ARG BASE=nowhere.invalid/x\nFROM ${BASE} AS a\nFROM a\nRUN echo chosen >/f\n",
  });
  await expectCli(["-t", "base:1", "--build-arg", `BASE=${workspace.busybox}`, folder]);
  expect(await output("base:1", "cat", "/f")).toBe("chosen\n");
});

test("a locally built image is a base for the next build", async () => {
  await expectCli([
    "-t",
    "local/base:7",
    await context({ Dockerfile: "FROM BUSYBOX\nRUN echo local >/l\nENV L=1\n" }),
  ]);
  const folder = await context({ Dockerfile: "FROM local/base:7\nRUN cat /l >/copy\n" });
  await expectCli(["-t", "local/next", folder]);
  expect(await output("local/next", "sh", "-c", "cat /copy; echo $L")).toBe("local\n1\n");
});
