import { expect, test } from "vitest";
import { readMountFields, readMountSource } from "../../../src/plan/mount-fields.ts";

const location = { file: "Dockerfile", line: 3, column: 1 };

function read(text: string): ReturnType<typeof readMountFields> {
  return readMountFields(text, { location, expand: (word) => word.replace("$X", "expanded") });
}

test.each([
  ["target=/a", { type: "bind", target: "/a", readOnly: true }],
  ["dst=/a,rw", { type: "bind", readOnly: false }],
  ["type=cache,destination=/c", { type: "cache", readOnly: false }],
  ["type=CACHE,target=$X,sharing=Locked", { target: "expanded", sharing: "locked" }],
  ["type=tmpfs,target=/t,size=64k", { sizeBytes: 65_536 }],
  ["type=tmpfs,target=/t,size=1GiB,readonly=true", { sizeBytes: 1_073_741_824, readOnly: true }],
  ["type=secret,id=a,required=false", { id: "a", required: false }],
  ["type=ssh,required,mode=0600,uid=1,gid=2", { required: true, mode: 0o600, uid: 1, gid: 2 }],
  ['type=bind,"source=/a,b",target=/x', { source: "/a,b" }],
  ['"target=/quo""te"', { target: '/quo"te' }],
])("%s", (text, expected) => {
  expect(read(text)).toMatchObject(expected);
});

test.each([
  "type=volume,target=/x",
  "target",
  "sizes=1",
  "type=cache,target=/x,size=1m",
  "type=tmpfs,target=/x,size=big",
  "type=bind,target=/x,required",
  "type=bind,target=/x,uid=1",
  "type=bind,target=/x,sharing=shared",
  "type=cache,target=/x,mode=9",
  "type=cache,target=/x,uid=-1",
  "type=cache,target=/x,ro=perhaps",
  "type=secret",
  "type=secret,id=a,source=b",
  "type=secret,id=a,from=b",
  "type=ssh,source=a",
  `"target=/a"b`,
])("%s is refused", (text) => {
  expect(() => read(text)).toThrow(
    expect.objectContaining({ code: "PLAN_MOUNT_INVALID", location }) as Error,
  );
});

test("from is found before anything is expanded, and the last one counts", () => {
  expect(readMountSource("from=a,target=/x,From=$b")).toBe("$b");
  expect(readMountSource("target=/x")).toBeUndefined();
  expect(readMountSource("from=,target=/x")).toBeUndefined();
});
