import { expect, test } from "vitest";
import { useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace();
const { context, expectCli, inspect, output } = workspace;

const parent = `FROM BUSYBOX
WORKDIR /app
ONBUILD COPY *.conf ./
ONBUILD RUN cat *.conf >all && echo "$MODE" >>all
ONBUILD ENV TRIGGERED=yes
RUN test ! -e all
`;

test("triggers wait in the image, fire in the next build, and are gone then [3.88, 3.89]", async () => {
  await expectCli(["-t", "onbuild:1", await context({ Dockerfile: parent })]);
  expect((await inspect("onbuild:1")).Config["OnBuild"]).toEqual([
    "COPY *.conf ./",
    'RUN cat *.conf >all && echo "$MODE" >>all',
    "ENV TRIGGERED=yes",
  ]);
  const child = await context({
    "a.conf": "from the child\n",
    Dockerfile: "FROM onbuild:1\nRUN echo after >>all\n",
  });
  await expectCli(["-t", "child:1", child]);
  expect(await output("child:1", "cat", "/app/all")).toBe("from the child\n\nafter\n");
  const { Config } = await inspect("child:1");
  expect(Config["OnBuild"] ?? []).toEqual([]);
  expect(Config["Env"]).toContain("TRIGGERED=yes");

  const grandchild = await context({ Dockerfile: "FROM child:1\nRUN cat all >again\n" });
  await expectCli(["-t", "grandchild:1", grandchild]);
  expect(await output("grandchild:1", "cat", "/app/again")).toBe("from the child\n\nafter\n");
});

test("triggers pass through a registry and fire when the image is pulled as a base [3.89]", async () => {
  const name = `${workspace.registry.host}/onbuild:1`;
  await expectCli(["-t", name, await context({ Dockerfile: parent })]);
  await expectCli(["push", name]);
  await expectCli(["rmi", name]);
  const child = await context({ "b.conf": "b\n", Dockerfile: `FROM ${name}\n` });
  await expectCli(["-t", "pulled:1", child]);
  expect(await output("pulled:1", "cat", "/app/all")).toBe("b\n\n");
});

test("triggers of a stage fire in the stage that starts from it [3.89]", async () => {
  const folder = await context({
    Dockerfile: "FROM BUSYBOX AS a\nONBUILD RUN echo fired >/f\nFROM a\nRUN cat /f >/g\n",
  });
  await expectCli(["-t", "same-file:1", folder]);
  expect(await output("same-file:1", "cat", "/g")).toBe("fired\n");
});
