import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadAuthorities } from "../../src/core/http/certificates.ts";
import { readAuthFile } from "../../src/registry/auth-file.ts";
import { runCli } from "../support/cli.ts";
import { expectCode } from "../support/expect-code.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

/** What may lie where a file is meant. */
const kinds = {
  "a named pipe": (path: string) => execFileSync("mkfifo", [path]),
  "a directory": (path: string) => mkdirSync(path),
  "a link to a device that never ends": (path: string) => symlinkSync("/dev/zero", path),
  "a link to itself": (path: string) => symlinkSync(path, path),
  "a gigabyte": (path: string) => {
    writeFileSync(path, "");
    truncateSync(path, 2 ** 30);
  },
} satisfies Record<string, (path: string) => void>;

type Kind = keyof typeof kinds;

/** Files that a build reads; `put` makes them in the context, `args` names them. */
const roles: Readonly<
  Record<
    string,
    {
      readonly file: string;
      readonly args?: (path: string) => readonly string[];
      readonly code: string;
    }
  >
> = {
  "the ignore file": { file: ".dockerignore", code: "CONTEXT_UNREADABLE" },
  "the Dockerfile's ignore file": {
    file: "Dockerfile.dockerignore",
    code: "CONTEXT_UNREADABLE",
  },
  "the Dockerfile": { file: "Dockerfile", code: "DOCKERFILE_NOT_FOUND" },
  "a Dockerfile that is named": {
    file: "other",
    args: (path) => ["-f", path],
    code: "DOCKERFILE_NOT_FOUND",
  },
  "a secret": {
    file: "secret",
    args: (path) => ["--secret", `id=one,src=${path}`],
    code: "SECRET_UNREADABLE",
  },
};

describe.each(Object.keys(roles))("%s", (role) => {
  test.each(Object.keys(kinds) as Kind[])("is told, and nothing waits for it: %s", async (kind) => {
    const { file, args, code } = roles[role] ?? { file: "", code: "" };
    const folder = await temporaryFolder();
    const context = join(folder, "context");
    mkdirSync(context);
    const dockerfile =
      'FROM scratch\nCOPY Dockerfile /\nRUN --mount=type=secret,id=one ["/bin/true"]\n';
    if (file !== "Dockerfile") writeFileSync(join(context, "Dockerfile"), dockerfile);
    const path = join(context, file);
    kinds[kind](path);
    const root = join(folder, "root");
    const result = await runCli([...(args?.(path) ?? []), "-t", "a:1", context], { root });
    expect(result.code).toBe(1);
    expect(result.stderr).toContain(`[${code}]`);
    expect(result.stderr).toMatch(/^hint: /m);
    // A secret is named by its id.
    expect(result.stderr).toContain(role === "a secret" ? "secret one" : file);
  });
});

test("a named pipe that somebody writes to is as good as a file where the user names it", async () => {
  const folder = await temporaryFolder();
  const pipe = join(folder, "pipe");
  execFileSync("mkfifo", [pipe]);
  const writer = spawn("sh", ["-c", `printf 'FROM scratch\nLABEL a=b\n' >'${pipe}'`]);
  const root = join(folder, "root");
  const { code, stderr } = await runCli(["-f", pipe, folder], { root });
  expect(stderr).not.toContain("tsbuild: ");
  expect(code).toBe(0);
  writer.kill();
});

test("an empty secret from /dev/null is empty, not an error", async () => {
  const folder = await temporaryFolder();
  writeFileSync(join(folder, "Dockerfile"), "FROM scratch\nLABEL a=b\n");
  const args = ["--secret", "id=none,src=/dev/null", folder];
  expect(await runCli(args, { root: join(folder, "root") })).toMatchObject({ code: 0 });
});

test.each(Object.keys(kinds) as Kind[])("credentials are never waited for: %s", async (kind) => {
  const path = join(await temporaryFolder(), "config.json");
  kinds[kind](path);
  await expectCode(readAuthFile(path), "REGISTRY_CREDENTIALS_INVALID");
});

test.each(Object.keys(kinds) as Kind[])("certificates are never waited for: %s", async (kind) => {
  const folder = await temporaryFolder();
  const path = join(folder, "ca.pem");
  kinds[kind](path);
  await expect(loadAuthorities({ SSL_CERT_FILE: path })).rejects.toThrow();
  // In a folder of certificates other things may lie about.
  expect(await loadAuthorities({ SSL_CERT_DIR: folder })).toBeDefined();
});
