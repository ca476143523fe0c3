import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findDocker, startDocker } from "../../../bench/place/docker-daemon.ts";

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "bench-docker-"));
});

afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

async function program(path: string, script: string): Promise<void> {
  const file = join(root, path);
  await mkdir(join(file, ".."), { recursive: true });
  await writeFile(file, `#!/bin/sh\n${script}\n`);
  await chmod(file, 0o755);
}

test("docker is found where its packages were unpacked, its own programs first", async () => {
  await program("usr/sbin/dockerd", "true");
  await program("usr/bin/docker", "true");
  const found = findDocker(root);
  expect(found?.docker).toBe(join(root, "usr/bin/docker"));
  expect(found?.dockerd).toBe(join(root, "usr/sbin/dockerd"));
  expect(found?.path.indexOf(join(root, "usr/bin"))).toBeLessThan(
    found?.path.indexOf(process.env["PATH"] ?? "") ?? -1,
  );
});

test("a folder without a daemon is refused", () => {
  const path = process.env["PATH"];
  process.env["PATH"] = root;
  try {
    expect(() => findDocker(root)).toThrow("there is no usr/sbin/dockerd");
    expect(findDocker(undefined)).toBeUndefined();
  } finally {
    process.env["PATH"] = path;
  }
});

test("a daemon that ends tells why by the end of its log", async () => {
  await program("usr/sbin/dockerd", "echo no room for me; exit 3");
  await program("usr/bin/docker", "exit 1");
  const programs = findDocker(root);
  if (programs === undefined) throw new Error("not found");
  const { signal } = new AbortController();
  const started = startDocker(programs, { directory: join(root, "state"), signal });
  await expect(started).rejects.toThrow(/ended with 3\n.*no room for me/s);
});
