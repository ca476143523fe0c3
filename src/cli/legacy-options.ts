import { Option } from "commander";
import type { ProgressListener } from "../core/index.ts";

/** Flags of `docker build` that scripts still give, and that mean nothing without a daemon. */
export interface LegacyFlags {
  readonly squash?: boolean;
  readonly securityOpt?: string;
}

/** Taken so that such scripts go on working; not shown in the help. */
export function legacyOptions(): readonly Option[] {
  const flags = [
    "--builder <name>",
    "--compress",
    "--rm",
    "--force-rm",
    "--security-opt <option>",
    "--squash",
  ];
  return flags.map((each) => new Option(each, "taken and ignored").hideHelp());
}

/** Tells of those without which the result is another one than was asked for. */
export function warnOfLegacyFlags(flags: LegacyFlags, listener: ProgressListener): void {
  const ignored = [
    ...(flags.squash === true ? ["--squash"] : []),
    ...(flags.securityOpt === undefined ? [] : ["--security-opt"]),
  ];
  for (const flag of ignored) {
    listener({
      type: "warning",
      code: "FLAG_IGNORED",
      message: `${flag} has no effect`,
      hint: `leave ${flag} out: docker build with BuildKit ignores it, too`,
      time: Date.now(),
    });
  }
}
