import { join } from "node:path";
import { rm } from "node:fs/promises";
import { execute, run } from "../execute.ts";
import { type Engine, type Feature, featuresSince, readVersion } from "./engine.ts";

/** The first release that knows a feature; those that are absent it does not know, or knows otherwise. */
const since: Readonly<Partial<Record<Feature, readonly [number, number]>>> = {
  "run-mount": [1, 24],
  "build-context": [1, 28],
  heredoc: [1, 33],
};

/**
 * buildah is no BuildKit: history, comments and the fields of the config that only docker has are its own, so it is a
 * judge of the tree and of the fields of the OCI image specification.
 */
export async function openBuildah(options: {
  readonly buildah: string;
  readonly folder: string;
}): Promise<Engine> {
  const storage = [
    ...["--root", join(options.folder, "storage"), "--runroot", join(options.folder, "run")],
    ...["--storage-driver", "overlay"],
  ];
  const command = [options.buildah, ...storage];
  const version = readVersion(await execute([options.buildah, "version"]));
  return {
    name: "buildah",
    version,
    features: featuresSince(version, since),
    compares: {
      parts: ["config", "tree"],
      ignoredFields: [
        ...["config.Hostname", "config.ArgsEscaped"],
        ...["author", "container", "container_config", "docker_version", "id", "parent"],
      ],
    },
    load: async (archive) => {
      await execute([...command, "pull", `docker-archive:${archive}`]);
    },
    build: async ({ folder, context, tag, flags, archive }) => {
      const settings = [
        "--format",
        "docker",
        "--identity-label=false",
        "--runtime",
        "runc",
        "--network",
        "host",
      ];
      const build = [...command, "bud", ...settings, ...flags, "--tag", tag, context];
      const built = await run(build, { cwd: folder });
      if (built.code !== 0) return { kind: "refused", output: built.output };
      await execute([...command, "push", tag, `docker-archive:${archive}:${tag}`]);
      return { kind: "built", archive };
    },
    close: async () => {
      await run([...command, "rmi", "--all", "--force"]);
      await rm(options.folder, { recursive: true, force: true });
    },
  };
}
