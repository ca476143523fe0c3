import { Option, type Command } from "commander";
import { forecastBuild, parseCacheFrom } from "../../api/index.ts";
import { formatExplanation } from "../forecast/print-forecast.ts";
import { renderForecast } from "../forecast/run-forecast.ts";
import { collect, globalFlags, type Invocation } from "../invocation.ts";
import { progressOption, withProgress, type ProgressFlags } from "../with-progress.ts";

interface Flags extends ProgressFlags {
  readonly tag: readonly string[];
  readonly file?: string;
  readonly buildContext: readonly string[];
  readonly target?: string;
  readonly buildArg: readonly string[];
  readonly label: readonly string[];
  readonly platform: readonly string[];
  readonly cache: boolean;
  readonly cacheFilter: readonly string[];
  readonly pull?: boolean;
  readonly network: "default" | "none" | "host";
  readonly allow: readonly string[];
  readonly secret: readonly string[];
  readonly ssh: readonly string[];
  readonly cacheFrom: readonly string[];
  readonly addHost: readonly string[];
  readonly ulimit: readonly string[];
  readonly shmSize?: string;
  readonly cgroupParent?: string;
  readonly format: "text" | "json";
}

/** `tsbuild explain … CONTEXT` */
export function addExplainCommand(program: Command, invocation: Invocation): void {
  const command = program
    .command("explain")
    .description(
      "tell of each step whether it is cached, and if not, what changed since the last build",
    )
    .argument("<context>", "as for build: a directory, a git repository, a URL, or -")
    .option("-f, --file <file>", "the Dockerfile (default: Dockerfile in the context)")
    .option("--target <stage>", "stage that would be built (default: the last)");
  for (const [flags, description] of lists) command.option(flags, description, collect, []);
  command
    .option("--no-cache", "as if every step ran again")
    .option("--pull", "ask the registry for base images even when they are here")
    .addOption(
      new Option("--network <mode>", "network of RUN")
        .choices(["default", "none", "host"])
        .default("default"),
    )
    .option("--shm-size <bytes>", "size of /dev/shm in RUN, such as 128m")
    .option("--cgroup-parent <path>", "control group in which those of RUN are made")
    .addOption(
      new Option("--format <format>", "output format").choices(["text", "json"]).default("text"),
    )
    .addOption(progressOption())
    .action(async (context: string, flags: Flags, called: Command) => {
      const { root, isolation } = globalFlags(called);
      const forecast = await withProgress(flags, (listener) =>
        forecastBuild({
          ...optionsOf(flags),
          context,
          root,
          isolation,
          progress: listener,
          signal: invocation.signal,
        }),
      );
      const { format } = flags;
      process.stdout.write(renderForecast(forecast, { format, print: formatExplanation }));
    });
}

/** What a build is told by flags that may be repeated; each has a part in what is cached, or is accepted beside those. */
const lists = [
  ["-t, --tag <name>", "name that the image would get; makes no difference (repeatable)"],
  ["--build-arg <name=value>", "value for an ARG (repeatable)"],
  ["--build-context <name=value>", "what stands in for a stage or image (repeatable)"],
  ["--label <name=value>", "label of the image; makes no difference (repeatable)"],
  ["--platform <platforms>", "platforms of the result (comma list, repeatable)"],
  ["--no-cache-filter <stages>", "as if every step of these stages ran again (repeatable)"],
  ["--cache-from <spec>", "a cache of another machine to look into besides (repeatable)"],
  ["--allow <entitlement>", "let RUN have network.host or security.insecure"],
  ["--secret <spec>", "secret for RUN --mount=type=secret (repeatable)"],
  ["--ssh <spec>", "agent or keys for RUN --mount=type=ssh (repeatable)"],
  ["--add-host <name:address>", "line of /etc/hosts in RUN (repeatable)"],
  ["--ulimit <name=soft[:hard]>", "resource limit of RUN (repeatable)"],
] as const;

function optionsOf(flags: Flags) {
  const { tag, file, target, buildArg, label, platform, network, allow, secret, ssh } = flags;
  return {
    file,
    target,
    tags: tag,
    buildArgs: buildArg,
    namedContexts: flags.buildContext,
    labels: label,
    platforms: platform,
    noCache: !flags.cache,
    noCacheFilter: flags.cacheFilter.flatMap((stages) => stages.split(",")),
    pull: flags.pull ?? false,
    cacheFrom: flags.cacheFrom.map((text) => parseCacheFrom(text)),
    network,
    allow,
    secrets: secret,
    // It says what changed also of a build that would be refused.
    allowSecretLeak: true,
    ssh,
    addHosts: flags.addHost,
    ulimits: flags.ulimit,
    shmSize: flags.shmSize,
    cgroupParent: flags.cgroupParent,
  };
}
