import { mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
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

async function program(path: string, target: string): Promise<void> {
  const file = join(root, path);
  await mkdir(join(file, ".."), { recursive: true });
  await symlink(target, file);
}

test("docker is found where its packages were unpacked, its own programs first", async () => {
  await program("usr/sbin/dockerd", "/bin/true");
  await program("usr/bin/docker", "/bin/true");
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
  // It knows none of the daemon's flags, and says so.
  await program("usr/sbin/dockerd", "/bin/cat");
  await program("usr/bin/docker", "/bin/false");
  const programs = findDocker(root);
  if (programs === undefined) throw new Error("not found");
  const { signal } = new AbortController();
  const started = startDocker(programs, { directory: join(root, "state"), signal });
  await expect(started).rejects.toThrow(/ended with 1\n.*option/s);
});
