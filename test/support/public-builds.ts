import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect } from "vitest";
import { repository } from "./cli.ts";
import { foretoldSteps, isForetold } from "./foretold-steps.ts";
import { instructionSteps, readSteps, type ToldStep } from "./setup-progress.ts";
import type { Workspace } from "./setup-workspace.ts";
import { typicalSecrets } from "./typical-secrets.ts";

const root = join(repository, "fixtures/builds");

/** `expect.json` of a folder in fixtures/builds: how it is built, and some facts about the image. */
interface Expectation {
  /**
   * The images that it stands on, by the name that its FROM lines use: further lines of a Dockerfile on the toolbox, or
   * a whole one that begins with FROM. In it, DEBIAN is the Debian root's image.
   */
  readonly bases?: Readonly<Record<string, readonly string[]>>;
  /** Flags. CERTIFICATES is the machine's bundle, NPM the folder of its npm, RUNTIME that of its node. */
  readonly build?: readonly string[];
  /** Part of the config, in docker's spelling. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Path to `755 root:root`. */
  readonly files?: Readonly<Record<string, string>>;
  readonly contents?: Readonly<Record<string, string>>;
  readonly absent?: readonly string[];
  readonly run?: readonly {
    readonly flags?: readonly string[];
    readonly args: readonly string[];
    readonly prints: string;
  }[];
}

/** Names of the cases: those on Debian need its root and its mirrors, the others nothing but busybox. */
export function listPublicBuilds(kind: "busybox" | "debian"): string[] {
  return readdirSync(root)
    .filter((name) => existsSync(join(root, name, "expect.json")))
    .filter((name) => (kind === "debian") === name.startsWith("debian-"))
    .sort();
}

/** Builds the image that the bases of the cases stand on. */
export async function buildToolbox(workspace: Workspace): Promise<void> {
  const folder = join(repository, "fixtures/bases/toolbox");
  await workspace.expectCli([
    "-t",
    "toolbox:1",
    "--build-arg",
    `BASE=${workspace.busybox}`,
    folder,
  ]);
}

/** The same flags for every case: secrets of all usual kinds, short ones too, that no case reads. */
async function givenSecrets(workspace: Workspace): Promise<readonly string[]> {
  const secrets = { ...typicalSecrets, pin: "1234", region: "eu-central-1", word: "production" };
  const folder = await workspace.context(secrets);
  return Object.keys(secrets).flatMap((id) => [
    "--secret",
    `id=given-${id},src=${join(folder, id)}`,
  ]);
}

/**
 * Builds one case twice: the facts must hold, and the second time every step must come from the cache. What would happen
 * is asked before, and has to happen. Secrets are given that are nowhere in it: none may be found, in what runs and in
 * what is cached.
 */
export async function checkPublicBuild(
  name: string,
  { workspace, debian = "" }: { readonly workspace: Workspace; readonly debian?: string },
): Promise<void> {
  const folder = join(root, name);
  const expected = JSON.parse(readFileSync(join(folder, "expect.json"), "utf8")) as Expectation;
  for (const [base, lines] of Object.entries(expected.bases ?? {})) {
    const text = lines.join("\n").replaceAll("DEBIAN", debian);
    const dockerfile = text.startsWith("FROM") ? `${text}\n` : `FROM toolbox:1\n${text}\n`;
    await workspace.expectCli(["-t", base, await workspace.context({ Dockerfile: dockerfile })]);
  }
  const image = `${name}:built`;
  const flags = (expected.build ?? []).map((flag) => fillIn(flag));
  const build = ["-t", image, ...flags, ...(await givenSecrets(workspace)), folder];
  await buildAsForetold(workspace, build);
  const again = await buildAsForetold(workspace, build);
  expect(again.filter(({ outcome }) => outcome !== "cached")).toEqual([]);

  const { Config } = await workspace.inspect(image);
  expect(Config).toMatchObject(expected.config);
  await checkFiles(image, { expected, workspace });
  for (const { flags: runFlags = [], args, prints } of expected.run ?? []) {
    const command = ["run", "--rm", ...runFlags, image, ...args];
    expect((await workspace.expectCli(command)).stdout).toBe(prints);
  }
}

async function buildAsForetold(
  workspace: Workspace,
  build: readonly string[],
): Promise<readonly ToldStep[]> {
  const { stdout } = await workspace.expectCli([
    "build",
    "--dry-run",
    "--format",
    "json",
    ...build,
  ]);
  const { stderr } = await workspace.expectCli(["--progress", "rawjson", ...build]);
  // What mounts take from the context are steps too, though no instructions.
  const told = readSteps(stderr);
  expect(foretoldSteps(stdout).filter((step) => !isForetold(step, told))).toEqual([]);
  return instructionSteps(stderr);
}

function fillIn(flag: string): string {
  const runtime = dirname(realpathSync(process.execPath));
  return flag
    .replace("CERTIFICATES", process.env["SSL_CERT_FILE"] ?? "/etc/ssl/certs/ca-certificates.crt")
    .replace("NPM", join(runtime, "../lib/node_modules/npm"))
    .replace("RUNTIME", runtime);
}

/** Looks with the image's own shell, as root. */
async function checkFiles(
  image: string,
  { expected, workspace }: { readonly expected: Expectation; readonly workspace: Workspace },
): Promise<void> {
  const { files = {}, contents = {}, absent = [] } = expected;
  const paths = Object.keys(files);
  const script = [
    ...paths.map((path) => `stat -c '%a %U:%G' '${path}'`),
    ...Object.keys(contents).map((path) => `echo "= ${path}"; cat '${path}'`),
    ...absent.map((path) => `test ! -e '${path}' || echo "there: ${path}"`),
  ];
  if (script.length === 0) return;
  const flags = ["--rm", "-u", "0:0", "-w", "/", "--entrypoint", "/bin/sh"];
  const { stdout } = await workspace.expectCli(["run", ...flags, image, "-c", script.join("\n")]);
  const told = Object.entries(contents).map(([path, text]) => `= ${path}\n${text}`);
  expect(stdout).toBe([...Object.values(files).map((fact) => `${fact}\n`), ...told].join(""));
}
