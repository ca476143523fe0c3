import { Command } from "commander";
import { expect, test } from "vitest";
import { createProgram } from "../../../src/cli/command-line.ts";
import { acceptTlsVerify } from "../../../src/cli/tls-verify.ts";

async function insecureOf(...words: string[]): Promise<unknown> {
  let seen: unknown;
  const command = new Command("pull").exitOverride().configureOutput({ writeErr: () => undefined });
  command.option("--insecure").action(({ insecure }: { readonly insecure?: boolean }) => {
    seen = insecure;
  });
  acceptTlsVerify(command);
  await command.parseAsync(words, { from: "user" });
  return seen;
}

test("--tls-verify=false is --insecure, and its other words are told apart [R17.17]", async () => {
  expect(await insecureOf()).toBeUndefined();
  expect(await insecureOf("--insecure")).toBe(true);
  expect(await insecureOf("--tls-verify=false")).toBe(true);
  expect(await insecureOf("--tls-verify=true")).toBeUndefined();
  expect(await insecureOf("--tls-verify")).toBeUndefined();
  expect(await insecureOf("--tls-verify=0")).toBe(true);
  expect(await insecureOf("--tls-verify", "F")).toBe(true);
  expect(await insecureOf("--tls-verify", "1")).toBeUndefined();
  await expect(insecureOf("--tls-verify=maybe")).rejects.toMatchObject({ code: "USAGE" });
});

test("a name behind --tls-verify is not lost [R17.17]", async () => {
  await expect(insecureOf("--tls-verify", "app:1.0")).rejects.toMatchObject({
    code: "USAGE",
    hint: "write --tls-verify=true or --tls-verify=false",
  });
});

test("a name behind --prefer-index is not lost either", async () => {
  const program = createProgram({ signal: new AbortController().signal, exitCode: 0 });
  const words = ["imagetools", "create", "--dry-run", "--prefer-index", "127.0.0.1:1/app:1"];
  await expect(program.parseAsync(words, { from: "user" })).rejects.toMatchObject({
    code: "USAGE",
    hint: "write --prefer-index=true or --prefer-index=false",
  });
});

test("commands that know no --insecure know no --tls-verify [R17.17]", async () => {
  const command = new Command("rmi").exitOverride().configureOutput({ writeErr: () => undefined });
  acceptTlsVerify(command);
  await expect(command.parseAsync(["--tls-verify=false"], { from: "user" })).rejects.toMatchObject({
    code: "commander.unknownOption",
  });
});
