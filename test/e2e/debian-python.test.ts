import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { repository } from "../support/cli.ts";
import { pushDebian } from "../support/debian.ts";
import { outcomesOf } from "../support/setup-progress.ts";
import { useWorkspace, whatIsLacking } from "../support/setup-workspace.ts";

const workspace = useWorkspace({ programs: ["mmdebstrap"] });
const { expectCli, inspect, output } = workspace;
const apps = join(repository, "fixtures/apps");
let debian: string;

beforeAll(async () => {
  if (whatIsLacking(["mmdebstrap"]) === undefined)
    debian = await pushDebian(workspace.registry.host);
});

const report = `Bergen        291940
Ghent         265086
Porto         231800
total         788826
`;

test("Debian with Python over the real network: builds, runs, and is cached as a whole", async () => {
  const args = ["-t", "cities:1.0", "--build-arg", `BASE=${debian}`, join(apps, "python-app")];
  const first = await expectCli(["--progress", "rawjson", ...args]);
  expect(Object.values(outcomesOf(first.stderr))).toEqual(Array(7).fill("done"));
  expect(await output("cities:1.0")).toBe(report);
  const { Config } = await inspect("cities:1.0");
  expect(Config).toMatchObject({ User: "nobody", WorkingDir: "/app", Cmd: ["python3", "app.pyz"] });

  const second = await expectCli(["--progress", "rawjson", ...args]);
  expect(Object.values(outcomesOf(second.stderr))).toEqual(Array(7).fill("cached"));
});

test("the sources and the ignored files stay out of the final image", async () => {
  const listing = await output("cities:1.0", "sh", "-c", "find /app /src 2>/dev/null | sort");
  expect(listing).toBe("/app\n/app/app.pyz\n/app/data\n/app/data/cities.csv\n");
});

test("dpkg's database in the image is sound", async () => {
  const told = await output(
    "cities:1.0",
    "sh",
    "-c",
    "dpkg --audit && dpkg -s python3 | grep ^Status",
  );
  expect(told).toBe("Status: install ok installed\n");
});

test("the quick start's application", async () => {
  const app = join(apps, "quickstart");
  await expectCli(["-t", "app:1.0", "--build-arg", `BASE=${debian}`, app]);
  expect(await output("app:1.0")).toContain("hello world and everybody from Debian GNU/Linux 12");
  const { stdout } = await expectCli(["run", "--rm", "-e", "NAME=you", "app:1.0", "all"]);
  expect(stdout).toContain("hello you and all from");
});
