import { expect, test } from "vitest";
import { openCopyBuild } from "../support/copy-build.ts";

const base = "FROM scratch\nCOPY f /f\n";

test.each([
  ["RUN", `${base}RUN .wh.f`],
  ["RUN, in a directory of such a name", `${base}RUN .wh.d/f`],
  ["WORKDIR", `${base}WORKDIR /.wh.f`],
  ["the destination of a heredoc", `${base}COPY <<EOF /.wh.f\nEOF`],
  ["a directory on the way to it", `${base}COPY f /.wh.d/f`],
])("a name that layers read as a removal is refused, not told: %s", async (_name, dockerfile) => {
  const { failure } = await openCopyBuild({ f: "content" });
  const error = await failure(dockerfile);
  expect(error.code).toBe("SNAPSHOT_NAME_RESERVED");
  expect(error.message).toMatch(/\/\.wh\.[df]/);
});
