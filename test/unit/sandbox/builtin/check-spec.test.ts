import { expect, test } from "vitest";
import { checkSpec } from "../../../../src/sandbox/builtin/check-spec.ts";
import type { SandboxSpec } from "../../../../src/sandbox/index.ts";

const spec: SandboxSpec = {
  rootfs: { type: "directory", path: "/r", readOnly: false },
  argv: ["/bin/true"],
  env: ["A=b"],
  cwd: "/",
  user: { uid: 0, gid: 0, groups: [0], home: "/" },
  hostname: "h",
  network: "host",
  mounts: [{ type: "tmpfs", target: "/t" }],
  security: "sandbox",
};

test("a plain step passes", () => {
  expect(() => checkSpec(spec)).not.toThrow();
});

test.each<[string, Partial<SandboxSpec>]>([
  ["no command", { argv: [] }],
  ["a NUL in an argument", { argv: ["a\0b"] }],
  ["a NUL in the environment", { env: ["A=\0"] }],
  ["a relative working directory", { cwd: "tmp" }],
  ["a host name that is too long", { hostname: "h".repeat(65) }],
  ["a relative mount target", { mounts: [{ type: "tmpfs", target: "t" }] }],
  ["a mount over the root", { mounts: [{ type: "tmpfs", target: "/t/../." }] }],
  ["a user number that the kernel takes for none", { user: { ...spec.user, uid: 2 ** 32 - 1 } }],
  ["a negative group", { user: { ...spec.user, groups: [-1] } }],
])("refuses %s", (_what, change) => {
  expect(() => checkSpec({ ...spec, ...change })).toThrow(
    expect.objectContaining({ code: "SANDBOX_SPEC_INVALID" }),
  );
});
