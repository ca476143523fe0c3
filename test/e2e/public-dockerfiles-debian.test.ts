import { beforeAll, describe, test } from "vitest";
import { pushDebian } from "../support/debian.ts";
import { checkPublicBuild, listPublicBuilds } from "../support/public-builds.ts";
import { useWorkspace, whatIsLacking } from "../support/setup-workspace.ts";

const workspace = useWorkspace({ programs: ["mmdebstrap"] });
let debian: string;

beforeAll(async () => {
  if (whatIsLacking(["docker-registry", "skopeo", "mmdebstrap"]) === undefined)
    debian = await pushDebian(workspace.registry.host);
});

describe("Dockerfiles in the shape of public ones, on Debian with its real package managers", () => {
  test.for(listPublicBuilds("debian"))("%s", async (name) => {
    await checkPublicBuild(name, { workspace, debian });
  });
});
