import { Command } from "commander";
import { expect, test } from "vitest";
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
  await expect(insecureOf("--tls-verify=maybe")).rejects.toMatchObject({ code: "USAGE" });
});

test("commands that know no --insecure know no --tls-verify [R17.17]", async () => {
  const command = new Command("rmi").exitOverride().configureOutput({ writeErr: () => undefined });
  acceptTlsVerify(command);
  await expect(command.parseAsync(["--tls-verify=false"], { from: "user" })).rejects.toMatchObject({
    code: "commander.unknownOption",
  });
});
