import { randomBytes } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startCli } from "../support/cli.ts";
import { findMarkedProcesses } from "../support/marked-processes.ts";
import { useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace();

test("kill -9 in a chroot: nothing runs on, the cache is not lost, the secret is gone", async () => {
  const { root } = workspace;
  const mark = randomBytes(8).toString("hex");
  const secret = `s3cret-${mark}`;
  const place = await workspace.context({
    Dockerfile: [
      "FROM BUSYBOX",
      `RUN --mount=type=cache,target=/kept --mount=type=secret,id=token ls /kept && echo ${mark} > /kept/x && test -s /run/secrets/token && echo up && (setsid sleep 600 &) && sleep 600`,
    ].join("\n"),
    "second.Dockerfile": "FROM BUSYBOX\nRUN --mount=type=cache,target=/kept cp /kept/x /seen\n",
    token: secret,
  });
  const flags = ["--isolation", "chroot", "build", "--progress", "plain"];
  const env = { MARK: mark };
  const token = ["--secret", `id=token,src=${join(place, "token")}`];
  const running = startCli([...flags, ...token, place], { root, env });
  await running.seen("up\n");
  running.process.kill("SIGKILL");
  expect((await running.done).code).toBe(137);
  await writeFile(join(place, "token"), "");

  await workspace.expectCli([
    ...[...flags, "-f", join(place, "second.Dockerfile"), "-o", join(place, "out"), place],
  ]);
  expect(await readFile(join(place, "out/seen"), "utf8")).toBe(`${mark}\n`);
  expect(findMarkedProcesses(mark)).toEqual([]);
  expect(await filesWith(root, secret)).toEqual([]);
});

async function filesWith(folder: string, bytes: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const found = entries
    .filter((entry) => entry.isFile())
    .map(async ({ parentPath, name }) => {
      const path = join(parentPath, name);
      const content = await readFile(path).catch(() => Buffer.alloc(0));
      return content.includes(bytes) ? [path] : [];
    });
  return (await Promise.all(found)).flat();
}
