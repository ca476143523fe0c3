import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { openFakeRegistry } from "../../support/registry.ts";
import { execute, run } from "../execute.ts";
import { pushArchive } from "../push-archive.ts";
import { programPath, startDaemon } from "./daemon.ts";
import { type Engine, features, readVersion } from "./engine.ts";

/** The daemon, its client, and a folder for everything that they write. */
export interface BuildkitChoice {
  readonly buildkitd: string;
  readonly buildx: string;
  readonly folder: string;
}

/**
 * BuildKit alone, with the frontend that is built into it: the reference itself, as new as it is to be had. buildx is
 * the client, because contexts of the simpler one are versions of each other. Base images come from a registry in this
 * process, which stands in for `diff.test` and for Docker Hub.
 */
export async function openBuildkit({ buildkitd, buildx, folder }: BuildkitChoice): Promise<Engine> {
  const registry = await openFakeRegistry();
  const config = join(folder, "buildkitd.toml");
  await writeFile(config, ["diff.test", "docker.io"].map(mirrored(registry.host)).join(""));
  const socket = join(folder, "buildkitd.sock");
  const stop = await startDaemon({
    program: buildkitd,
    args: [
      ...["--config", config, "--root", join(folder, "root"), "--addr", `unix://${socket}`],
      ...["--otel-socket-path", join(folder, "otel.sock"), "--containerd-worker=false"],
      ...["--oci-worker-net", "host", "--oci-worker-gc=false"],
      ...["--allow-insecure-entitlement", "network.host"],
    ],
    // runc is looked for beside it first.
    env: { PATH: `${dirname(buildkitd)}:${programPath()}` },
    folder,
    socket,
  });
  const env = {
    BUILDX_CONFIG: join(folder, "buildx"),
    DOCKER_CONFIG: join(folder, "client"),
    BUILDX_NO_DEFAULT_ATTESTATIONS: "1",
    BUILDX_BUILDER: "diff",
  };
  await execute([buildx, "create", "--name", "diff", "--driver", "remote", `unix://${socket}`], {
    env,
  });
  return {
    name: "buildkit",
    version: readVersion(await execute([buildkitd, "--version"])),
    features: new Set(features),
    compares: { parts: ["config", "history", "tree"], ignoredFields: [] },
    load: async (archive) => pushArchive(archive, registry),
    build: async ({ folder: cwd, context, tag, flags, archive }) => {
      const command = ["build", "--network", "host", "--no-cache", ...flags, "--tag", tag];
      const output = ["--output", `type=docker,dest=${archive}`];
      const built = await run([buildx, ...command, ...output, context], { cwd, env });
      if (built.code !== 0) return { kind: "refused", output: built.output };
      return { kind: "built", archive };
    },
    check: async ({ folder: cwd, context, flags }) => {
      const command = ["build", "--call=check,format=json", "--progress=quiet", ...flags];
      return (await run([buildx, ...command, context], { cwd, env })).output;
    },
    close: async () => {
      await stop();
      await registry.close();
    },
  };
}

function mirrored(mirror: string): (host: string) => string {
  return (host) => `[registry."${host}"]\n  mirrors = ["${mirror}"]\n`;
}
