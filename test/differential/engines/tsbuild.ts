import { join } from "node:path";
import { rm } from "node:fs/promises";
import { tsbuildBin } from "../../support/cli.ts";
import { execute, run } from "../execute.ts";
import type { Builder } from "./engine.ts";

/** The builder that is judged: the repository's own `bin/`, on a state root inside `folder`. */
export function openTsbuild(folder: string): Builder {
  const env = { TSBUILD_ROOT: join(folder, "root"), NO_COLOR: "1", NODE_OPTIONS: undefined };
  const command = [process.execPath, tsbuildBin];
  return {
    load: async (archive) => {
      await execute([...command, "load", "-i", archive], { env });
    },
    build: async ({ folder: cwd, context, tag, flags, archive }) => {
      const build = ["build", "--network", "host", "--no-cache", ...flags, "--tag", tag, context];
      const built = await run([...command, ...build], { cwd, env });
      if (built.code !== 0) return { kind: "refused", output: built.output };
      await execute([...command, "save", "-o", archive, tag], { env });
      return { kind: "built", archive };
    },
    close: async () => {
      await rm(folder, { recursive: true, force: true });
    },
  };
}
