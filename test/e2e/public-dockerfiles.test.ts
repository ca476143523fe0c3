import { beforeAll, describe, test } from "vitest";
import { buildToolbox, checkPublicBuild, listPublicBuilds } from "../support/public-builds.ts";
import { useWorkspace, whatIsLacking } from "../support/setup-workspace.ts";

const workspace = useWorkspace();

beforeAll(async () => {
  if (whatIsLacking(["docker-registry", "skopeo", "busybox"]) === undefined)
    await buildToolbox(workspace);
});

/** The shapes of well-known public Dockerfiles: each builds, gives what it should, and is cached as a whole. */
describe("Dockerfiles in the shape of public ones", () => {
  test.for(listPublicBuilds("busybox"))("%s", async (name) => {
    await checkPublicBuild(name, { workspace });
  });
});
