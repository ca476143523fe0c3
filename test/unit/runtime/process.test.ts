import { describe, expect, test } from "vitest";
import { describeProcess, type ProcessOptions } from "../../../src/runtime/process.ts";
import type { ExecConfig } from "../../../src/image/index.ts";

const image: ExecConfig = {
  entrypoint: ["python3"],
  cmd: ["app.py"],
  env: ["PATH=/opt/bin:/bin", "MODE=prod"],
  workingDir: "/srv",
  user: "app",
};

function describeWith(
  options: Partial<ProcessOptions>,
  config: ExecConfig = image,
): ReturnType<typeof describeProcess> {
  return describeProcess({
    config,
    options: { command: [], env: [], ...options },
    callerEnv: { FROM_CALLER: "yes" },
  });
}

describe("command line", () => {
  test("ENTRYPOINT and CMD of the image", () => {
    expect(describeWith({}).argv).toEqual(["python3", "app.py"]);
  });
  test("arguments replace CMD only", () => {
    expect(describeWith({ command: ["other.py", "-v"] }).argv).toEqual([
      "python3",
      "other.py",
      "-v",
    ]);
  });
  test("--entrypoint drops the image's CMD", () => {
    expect(describeWith({ entrypoint: "/bin/sh" }).argv).toEqual(["/bin/sh"]);
    expect(describeWith({ entrypoint: "", command: ["ls"] }).argv).toEqual(["ls"]);
  });
  test("nothing to run", () => {
    expect(() => describeWith({}, {})).toThrow(
      expect.objectContaining({ code: "RUNTIME_COMMAND_MISSING" }),
    );
  });
});

describe("environment", () => {
  test("the image's, changed by the caller, in order", () => {
    expect(describeWith({ env: ["MODE=dev", "NEW=1", "FROM_CALLER", "ABSENT"] }).env).toEqual([
      "PATH=/opt/bin:/bin",
      "MODE=dev",
      "NEW=1",
      "FROM_CALLER=yes",
    ]);
  });
  test("a name that the caller lacks is unset", () => {
    expect(describeWith({ env: ["MODE"] }).env).toEqual(["PATH=/opt/bin:/bin"]);
  });
  test("PATH has a default", () => {
    expect(describeWith({ command: ["ls"] }, {}).env).toEqual([
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ]);
  });
  test.each(["", "=x"])("%j is refused", (variable) => {
    expect(() => describeWith({ env: [variable] })).toThrow(
      expect.objectContaining({ code: "RUNTIME_ENV_INVALID" }),
    );
  });
});

test("workdir and user", () => {
  expect(describeWith({})).toMatchObject({ cwd: "/srv", user: "app" });
  expect(describeWith({ workdir: "/tmp", user: "0" })).toMatchObject({ cwd: "/tmp", user: "0" });
});
