import { expect, test } from "vitest";
import { useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace();
const { cli, context, expectCli } = workspace;

test("two builds of one Dockerfile at once on one store both succeed", async () => {
  const root = await workspace.freshRoot();
  const folder = await context({
    f: "content",
    Dockerfile: "FROM BUSYBOX\nCOPY f /f\nRUN sleep 0.3; cat /f >/g\nRUN cat /g >/h\n",
  });
  const results = await Promise.all(
    ["a:1", "b:1"].map(async (name) => cli(["-t", name, folder], { root })),
  );
  for (const { code, stderr } of results) expect(code, stderr).toBe(0);
  for (const name of ["a:1", "b:1"]) {
    const { stdout } = await expectCli(["run", "--rm", name, "cat", "/h"], { root });
    expect(stdout).toBe("content");
  }
});

test("six different builds, a run and listings at once on one empty store", async () => {
  const root = await workspace.freshRoot();
  const builds = Array.from({ length: 6 }, async (_, index) => {
    const number = String(index);
    const folder = await context({
      own: number,
      Dockerfile: "FROM BUSYBOX\nRUN echo shared >/s\nCOPY own /own\nRUN cat /own /s >/both\n",
    });
    return cli(["-t", `many:${number}`, folder], { root });
  });
  const beside = [
    cli(["images"], { root }),
    cli(["run", "--rm", workspace.busybox, "true"], { root }),
    cli(["system", "df"], { root }),
  ];
  for (const { code, stderr } of await Promise.all([...builds, ...beside])) {
    expect(code, stderr).toBe(0);
  }
  for (let index = 0; index < 6; index++) {
    const name = `many:${String(index)}`;
    const { stdout } = await expectCli(["run", "--rm", name, "cat", "/both"], { root });
    expect(stdout).toBe(`${String(index)}shared\n`);
  }
});

test("one name given by many builds ends as one of them, whole", async () => {
  const root = await workspace.freshRoot();
  await Promise.all(
    Array.from({ length: 4 }, async (_, index) => {
      const word = `w${String(index)}`;
      const folder = await context({
        Dockerfile: `FROM BUSYBOX\nRUN echo ${word} >/w\nENV W=${word}\n`,
      });
      await expectCli(["-t", "race:1", folder], { root });
    }),
  );
  const { stdout } = await expectCli(
    ["run", "--rm", "race:1", "sh", "-c", 'test "$(cat /w)" = "$W" && echo whole'],
    { root },
  );
  expect(stdout).toBe("whole\n");
});
