import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ContextEntry } from "../support/setup-context.ts";
import { errorCode, runProgram, useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace({ programs: ["python3"] });
const { cli, context, expectCli } = workspace;

/** With what encoders treat differently: a blank, a slash, a plus. */
const value = "tok3n/9f+8e7d6c5b 4a39";
const mount = "RUN --mount=type=secret,id=tok --mount=type=secret,id=tok,env=TOK";

let folder = "";
let flags: readonly string[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tsbuild-leaks-"));
  await writeFile(join(folder, "tok"), `${value}\n`);
  flags = ["--secret", `id=tok,src=${join(folder, "tok")}`];
});
afterAll(async () => rm(folder, { recursive: true, force: true }));

async function imageNames(): Promise<string> {
  return (await expectCli(["images"])).stdout;
}

/** Files below the layers of the state root that have a text in them. */
async function statesWith(text: string): Promise<readonly string[]> {
  const snapshots = join(workspace.root, "snapshots");
  const entries = await readdir(snapshots, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
  const found: string[] = [];
  for (const path of paths) if ((await readFile(path)).includes(text)) found.push(path);
  return found;
}

/** A way out of a build: what it does, its context, its flags, and what the error says of it. */
interface Route {
  readonly steps: string;
  readonly files?: Readonly<Record<string, ContextEntry>>;
  readonly flags?: readonly string[];
  readonly told: string;
}

const routes: Readonly<Record<string, Route>> = {
  "a file": {
    steps: `${mount} cat /run/secrets/tok >/etc/npmrc`,
    told: "the file /etc/npmrc of [stage-0 2/2] RUN",
  },
  "a variable in a file": {
    steps: `${mount} mkdir /a && echo "//registry/:_authToken=$TOK" >/a/b`,
    told: "the file /a/b of [stage-0 2/2] RUN",
  },
  "base64 in a file": {
    steps: `${mount} printf 'user:%s' "$TOK" | base64 >/b64`,
    told: "the file /b64 of [stage-0 2/2] RUN",
  },
  "hex in a file": {
    steps: `${mount} printf %s "$TOK" | od -An -tx1 -v | tr -d ' \\n' >/hex`,
    told: "the file /hex of [stage-0 2/2] RUN",
  },
  "a URL in a file": {
    steps: `${mount} echo "https://${encodeURIComponent(value).slice(0, 5)}$(echo '${encodeURIComponent(value).slice(5)}')@h/" >/url`,
    told: "the file /url of [stage-0 2/2] RUN",
  },
  "a link's target": {
    steps: `${mount} ln -s "$TOK" /link`,
    told: "the target of the link /link of [stage-0 2/2] RUN",
  },
  "a file's name": {
    steps: `${mount} mkdir -p "/by/$(printf %s "$TOK")"`,
    told: "the name of /by/**** of [stage-0 2/2] RUN",
  },
  "the log": {
    steps: `${mount} for i in 1 2 3; do echo "$TOK" >&2; done`,
    told: "the output (stderr) of [stage-0 2/2] RUN",
  },
  "a file of the context": {
    steps: "COPY . /app/",
    files: { ".env": `TOKEN=${value}\n` },
    told: "the file /app/.env of [2/2] COPY . /app/",
  },
  "a layer whose file a later step removes": {
    steps: `${mount} cat /run/secrets/tok >/gone\nRUN rm /gone`,
    told: "the file /gone of [stage-0 2/3] RUN",
  },
  "an extended attribute": {
    steps: "ADD x.tar /x/",
    told: "the extended attribute user.note of /x/f of [2/2] ADD x.tar /x/",
  },
  "a build argument": {
    steps: "ARG A\nRUN true $A",
    flags: ["--build-arg", `A=${value}`],
    told: "the instruction or its variables, and so in the history, of [2/2] RUN true ****",
  },
  "ENV and LABEL": {
    steps: "ARG A\nENV E=$A\nLABEL l=$A",
    flags: ["--build-arg", `A=${value}`],
    told: "the image's config (config.labels.l)",
  },
  "an annotation": {
    steps: "RUN true",
    flags: ["--annotation", `note=${value}`, "-o", "type=oci,dest=/dev/null"],
    told: "outputs.0.annotations.note",
  },
  "a heredoc": {
    steps: `COPY <<EOF /etc/conf\ntoken: ${value}\nEOF`,
    told: "the instruction or its variables, and so in the history, of [2/2] COPY",
  },
};

/** A tar whose one file has the secret in an extended attribute: not every machine lets tests set one. */
async function tarWithAttribute(): Promise<Buffer> {
  const path = join(folder, "x.tar");
  const script = `import io,tarfile,sys
t=tarfile.open(sys.argv[1],"w",format=tarfile.PAX_FORMAT)
i=tarfile.TarInfo("f"); i.size=1; i.pax_headers={"SCHILY.xattr.user.note":"t="+sys.argv[2]}
t.addfile(i,io.BytesIO(b"x")); t.close()`;
  await runProgram("python3", ["-c", script, path, value]);
  return readFile(path);
}

/** What must fail again, because what was made is not to be taken from the cache as if it were clean. */
const twice = ["a file", "the log", "a file of the context"];

test.each(Object.entries(routes))("%s", async (name, route) => {
  const place = await context({
    Dockerfile: `FROM BUSYBOX\n${route.steps}\n`,
    ...route.files,
    ...(name === "an extended attribute" ? { "x.tar": await tarWithAttribute() } : {}),
  });
  const args = ["-t", "leaking:1", ...flags, ...(route.flags ?? []), place];
  for (const turn of twice.includes(name) ? ["first", "second"] : ["only"]) {
    const told = await cli(args);
    expect(errorCode(told), `${turn}: ${told.stderr}`).toBe("BUILD_SECRET_LEAKED");
    const error = told.stderr.slice(told.stderr.lastIndexOf("tsbuild: "));
    expect(error).toContain("secret tok is in");
    expect(error).toContain(route.told);
    expect(error).not.toContain(value);
    expect(error).toMatch(/^hint: .*--allow-secret-leak/m);
    if (/the file|the name|link/.test(route.told)) expect(error).toContain("was removed");
  }
});

test("what checks say of the Dockerfile comes without secrets", async () => {
  const key = "ghp_S3cretTokenValue123456";
  const place = await context({
    Dockerfile: `FROM BUSYBOX\nWORKDIR ${key}\nENV A_TOKEN=${key} PIN=1 B_KEY=$A_TOKEN\n`,
  });
  const secret = ["--secret", "id=key,env=KEY"];
  const built = await cli([...secret, "--progress", "plain", place], { env: { KEY: key } });
  expect(errorCode(built)).toBe("BUILD_SECRET_LEAKED");
  expect(built.stderr).toContain("WorkdirRelativePath");
  expect(built.stderr).not.toContain(key);
  const checked = await cli(["--check", place]);
  expect(checked.stdout).toMatch(/^ +3 \| >>> ENV A_TOKEN=x+ PIN=1 B_KEY=\$A_TOKEN$/m);
  expect(checked.stdout).not.toMatch(new RegExp(`TOKEN=${key}`));
});

test("nothing that leaked has a name, or is kept", async () => {
  expect(await imageNames()).not.toContain("leaking");
  expect(await statesWith(value)).toEqual([]);
});

test("what an earlier build keeps is told, and goes with a prune", async () => {
  const place = await context({ Dockerfile: "FROM BUSYBOX\nCOPY f /kept/\n", f: value });
  await expectCli(["-t", "keeping:1", place]);
  const told = await cli(["-t", "leaking:1", ...flags, place]);
  expect(errorCode(told)).toBe("BUILD_SECRET_LEAKED");
  expect(told.stderr).toMatch(
    /^hint: .*--allow-secret-leak.*\n.*still in \S+, because.*rmi.*prune --all/m,
  );
  expect(await statesWith(value)).toHaveLength(1);
  await expectCli(["rmi", "keeping:1"]);
  await expectCli(["builder", "prune", "--all"]);
  expect(await statesWith(value)).toEqual([]);
});

test("--allow-secret-leak builds and warns; without it the same build fails, though all is cached", async () => {
  const place = await context({ Dockerfile: `FROM BUSYBOX\n${mount} echo "$TOK" >/t\nRUN true\n` });
  const allowed = await expectCli(["-t", "allowed:1", ...flags, "--allow-secret-leak", place]);
  expect(allowed.stderr).toContain("secret tok is in the file /t");
  expect(await imageNames()).toContain("allowed");
  const cached = await cli(["-t", "refused:1", "--progress", "plain", ...flags, place]);
  expect(cached.stderr).toContain("CACHED");
  expect(errorCode(cached)).toBe("BUILD_SECRET_LEAKED");
  expect(cached.stderr).toContain("the file /t of [stage-0 2/3] RUN");
  expect(await imageNames()).not.toContain("refused");
});

test("a layer of before is searched when a secret is first given, and then no more", async () => {
  const place = await context({
    Dockerfile: "FROM BUSYBOX\nCOPY f /f\nRUN true\n",
    f: "innocent\n",
  });
  await expectCli([place]);
  await expectCli([...flags, place]);
  await expectCli([...flags, place]);
  await writeFile(join(place, "f"), `and ${value}`);
  await expectCli([place]);
  const told = await cli([...flags, place]);
  expect(errorCode(told)).toBe("BUILD_SECRET_LEAKED");
  expect(told.stderr).toContain("the file /f of [2/3] COPY f /f");
});

test("a dry run refuses what the build would refuse, and does not show it", async () => {
  const place = await context({ Dockerfile: "FROM BUSYBOX\nARG A\nRUN true $A\n" });
  const args = [...flags, "--build-arg", `A=${value}`];
  const told = await cli(["--dry-run", ...args, place]);
  expect(errorCode(told)).toBe("BUILD_SECRET_LEAKED");
  expect(told.stdout + told.stderr).not.toContain(value);
  const allowed = await expectCli(["--dry-run", "--allow-secret-leak", ...args, place]);
  expect(allowed.stderr).toContain("SECRET_LEAKED");
});

test("why a step runs is told without what was a build argument before it was a secret", async () => {
  const before = `FROM BUSYBOX\nARG A\n${mount} echo "$A" >/dev/null\n`;
  const place = await context({ Dockerfile: before });
  await expectCli(["-t", "why:1", "--build-arg", `A=${value}`, place]);
  const now = (await readFile(join(place, "Dockerfile"), "utf8")).replace("$A", "$(id)");
  await writeFile(join(place, "Dockerfile"), now);
  const timeline = join(folder, "timeline.html");
  for (const args of [
    ["--dry-run", "--format", "json"],
    ["--timeline", timeline, "--progress", "plain"],
  ]) {
    const { stdout, stderr } = await expectCli(["-t", "why:1", ...args, ...flags, place]);
    expect(stdout + stderr).toContain("instruction changed, it was: RUN");
    expect(stdout + stderr).not.toContain(value);
  }
  expect(await readFile(timeline, "utf8")).not.toContain(value);
});

test("errors do not repeat a secret, in whatever form", async () => {
  const encoded = Buffer.from(value).toString("base64");
  const failing = await context({
    Dockerfile: `FROM BUSYBOX\n${mount} printf %s "$TOK" | base64; exit 3\n`,
  });
  const failed = await cli([...flags, "--progress", "quiet", failing]);
  expect(errorCode(failed)).toBe("BUILD_RUN_FAILED");
  expect(failed.stderr).toContain("****");
  expect(failed.stderr).not.toContain(encoded.slice(0, 12));
  const invalid = await context({ Dockerfile: `FROM BUSYBOX\nARG A\nEXPOSE $A\n` });
  const key = "ghp_S3cretTokenValue123456";
  const told = await cli(["--secret", "id=key,env=KEY", "--build-arg", `A=${key}`, invalid], {
    env: { KEY: key },
  });
  expect(errorCode(told)).toBe("PLAN_PORT_INVALID");
  expect(told.stderr).not.toContain(key);
});

test("clean builds with secrets pass; a secret too short to be looked for is told", async () => {
  const place = await context({
    Dockerfile: `FROM BUSYBOX\n${mount} test -n "$TOK" && echo fine >/f\n`,
  });
  const told = await expectCli([...flags, "--secret", "id=pin,env=PIN", place], {
    env: { PIN: "1234" },
  });
  expect(told.stderr).toContain("secret pin");
  expect(told.stderr).toContain("SECRET_NOT_SEARCHED");
  expect(told.stderr).not.toContain("secret tok");
});
