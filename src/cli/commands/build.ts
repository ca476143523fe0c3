import { Option, type Command } from "commander";
import {
  build,
  checkReproducible,
  differencesOf,
  formatDifference,
  parseCacheFrom,
  parseCacheTo,
  parseOutput,
  type BuildOptions,
} from "../../api/index.ts";
import {
  callFormatOption,
  callOption,
  checkOption,
  readCallFlags,
  type CallFlags,
} from "../call/call-flags.ts";
import { runCall, type CallOutput } from "../call/run-call.ts";
import {
  forecastOptions,
  runForecast,
  wantsForecast,
  type ForecastFlags,
} from "../forecast/run-forecast.ts";
import { noteSteps } from "../command-kind.ts";
import { collect, globalFlags, type Invocation } from "../invocation.ts";
import {
  compressionOptions,
  compressionWords,
  type CompressionFlags,
} from "../compression-options.ts";
import { legacyOptions, warnOfLegacyFlags, type LegacyFlags } from "../legacy-options.ts";
import { progressOption, withProgress, type ProgressFlags } from "../with-progress.ts";

interface Flags
  extends ProgressFlags, CallFlags, CompressionFlags, LegacyFlags, Omit<ForecastFlags, "format"> {
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
  readonly cacheFrom: readonly string[];
  readonly cacheTo: readonly string[];
  readonly output: readonly string[];
  readonly network: "default" | "none" | "host";
  readonly allow: readonly string[];
  readonly secret: readonly string[];
  readonly allowSecretLeak?: boolean;
  readonly ssh: readonly string[];
  readonly addHost: readonly string[];
  readonly ulimit: readonly string[];
  readonly shmSize?: string;
  readonly cgroupParent?: string;
  readonly resource: readonly string[];
  readonly memory?: string;
  readonly memorySwap?: string;
  readonly cpuShares?: string;
  readonly cpuPeriod?: string;
  readonly cpuQuota?: string;
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
  readonly push?: boolean;
  readonly load?: boolean;
  readonly annotation: readonly string[];
  readonly iidfile?: string;
  readonly metadataFile?: string;
  readonly timeline?: string;
  readonly attest: readonly string[];
  readonly provenance?: string;
  readonly sbom?: string;
  readonly checkReproducible?: boolean;
}

/** An older spelling of one `--resource`. */
function limitOption(flags: string): Option {
  return new Option(`${flags} <value>`).hideHelp();
}

function runOptions(flags: Flags) {
  const {
    allow,
    secret,
    allowSecretLeak = false,
    ssh,
    addHost,
    ulimit,
    shmSize,
    cgroupParent,
    resource,
  } = flags;
  const named = [
    ["memory", flags.memory],
    ["memory-swap", flags.memorySwap],
    ["cpu-shares", flags.cpuShares],
    ["cpu-period", flags.cpuPeriod],
    ["cpu-quota", flags.cpuQuota],
    ["cpuset-cpus", flags.cpusetCpus],
    ["cpuset-mems", flags.cpusetMems],
  ] as const;
  const resources = named.flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`],
  );
  return {
    allow,
    secrets: secret,
    allowSecretLeak,
    ssh,
    addHosts: addHost,
    ulimits: ulimit,
    shmSize,
    cgroupParent,
    resources: [...resources, ...resource],
  };
}

/** `tsbuild [build] … CONTEXT`: the default command. */
export function addBuildCommand(program: Command, invocation: Invocation): void {
  const command = program
    .command("build", { isDefault: true })
    .description("build an image from a Dockerfile")
    .argument("<context>", "what COPY reads from: a directory, a git repository, a URL, or -")
    .option("-t, --tag <name>", "name of the image, name:tag (repeatable)", collect, [])
    .option(
      "-f, --file <file>",
      "the Dockerfile: a file, a URL, or - (default: Dockerfile in the context)",
    )
    .option(
      "--build-context <name=value>",
      "what stands in for a stage or image: DIR, docker-image://IMAGE, oci-layout://DIR[:TAG], or a URL (repeatable)",
      collect,
      [],
    )
    .option("--target <stage>", "stage to build (default: the last)")
    .option("--build-arg <name=value>", "value for an ARG (repeatable)", collect, [])
    .option("--label <name=value>", "label of the image (repeatable)", collect, [])
    .option(
      "--platform <platforms>",
      "platforms of the result, os/arch[/variant] or local (comma list, repeatable)",
      collect,
      [],
    )
    .option("--no-cache", "run every step again")
    .option(
      "--no-cache-filter <stages>",
      "run every step of these stages again (comma list, repeatable)",
      collect,
      [],
    )
    .option("--pull", "ask the registry for base images even when they are here")
    .option(
      "--cache-from <spec>",
      "cache of other machines to look into: IMAGE or type=registry|local|s3,… (repeatable)",
      collect,
      [],
    )
    .option(
      "--cache-to <spec>",
      "where the cache of this build goes: IMAGE or type=registry|local|s3|inline,…[,mode=max] (repeatable)",
      collect,
      [],
    )
    .option("-q, --quiet", "print only the image ID")
    .option(
      "-o, --output <spec>",
      "where the result goes instead of the store: DIR, - or type=image|registry|local|tar|oci|docker|cacheonly,… (repeatable)",
      collect,
      [],
    )
    .option("--push", "send the image to its registry")
    .option(
      "--load",
      "put the image into the store beside other outputs (without any, it goes there)",
    )
    .option(
      "--annotation <[types:]key=value>",
      "annotation of the manifest, or of manifest-descriptor, index, index-descriptor (repeatable)",
      collect,
      [],
    )
    .option(
      "--iidfile <file>",
      "write the image ID, of several platforms the digest of the index, to a file",
    )
    .option("--metadata-file <file>", "write digests and names of the result to a file, as JSON")
    .option(
      "--timeline <file>",
      "write a page that shows when each step did what (.json: for trace viewers)",
    )
    .option("--attest <spec>", "no attestations are made: warns of what is asked for", collect, [])
    .option("--provenance <value>", "the same as --attest type=provenance; false is the default")
    .option("--sbom <value>", "the same as --attest type=sbom; false is the default")
    .addOption(
      new Option("--network <mode>", "network of RUN")
        .choices(["default", "none", "host"])
        .default("default"),
    )
    .option("--allow <entitlement>", "let RUN have network.host or security.insecure", collect, [])
    .option(
      "--secret <spec>",
      "secret for RUN --mount=type=secret: id=NAME[,src=FILE|env=NAME][,type=file|env] (repeatable)",
      collect,
      [],
    )
    .option(
      "--allow-secret-leak",
      "build also when a secret gets into a layer, the config, the history or the log",
    )
    .option(
      "--ssh <spec>",
      "agent or keys for RUN --mount=type=ssh: default or id[=SOCKET|KEY,…] (repeatable)",
      collect,
      [],
    )
    .option("--add-host <name:address>", "line of /etc/hosts in RUN (repeatable)", collect, [])
    .option("--ulimit <name=soft[:hard]>", "resource limit of RUN (repeatable)", collect, [])
    .option("--shm-size <bytes>", "size of /dev/shm in RUN, such as 128m")
    .option("--cgroup-parent <path>", "control group in which those of RUN are made")
    .option(
      "--resource <name=value>",
      "limit of each RUN: memory, memory-swap, cpu-shares, cpu-period, cpu-quota, cpuset-cpus, cpuset-mems (repeatable)",
      collect,
      [],
    )
    .addOption(callOption())
    .addOption(checkOption())
    .option(
      "--check-reproducible",
      "build twice, the second time without the cache; unless both images are the same, name what differs and stop",
    )
    .addOption(callFormatOption())
    .addOption(progressOption())
    .addOption(limitOption("-m, --memory"))
    .addOption(limitOption("--memory-swap"))
    .addOption(limitOption("-c, --cpu-shares"))
    .addOption(limitOption("--cpu-period"))
    .addOption(limitOption("--cpu-quota"))
    .addOption(limitOption("--cpuset-cpus"))
    .addOption(limitOption("--cpuset-mems"))
    .action(async (context: string, flags: Flags, command: Command) => {
      const { root, isolation } = globalFlags(command);
      const outputs = flags.output.map(parseOutput);
      const run = chooseRun(flags);
      const { text, exitCode, error } = await withProgress(flags, (listener) => {
        warnOfLegacyFlags(flags, listener);
        return run({
          context,
          root,
          isolation,
          file: flags.file,
          namedContexts: flags.buildContext,
          tags: flags.tag,
          target: flags.target,
          buildArgs: flags.buildArg,
          labels: flags.label,
          platforms: flags.platform,
          noCache: !flags.cache,
          noCacheFilter: flags.cacheFilter.flatMap((stages) => stages.split(",")),
          pull: flags.pull ?? false,
          cacheFrom: flags.cacheFrom.map((text) => parseCacheFrom(text)),
          cacheTo: flags.cacheTo.map((text) => parseCacheTo(text)),
          network: flags.network,
          ...runOptions(flags),
          outputs,
          push: flags.push ?? false,
          load: flags.load ?? false,
          annotations: flags.annotation,
          imageIdFile: flags.iidfile,
          compression: compressionWords(flags),
          metadataFile: flags.metadataFile,
          timeline: flags.timeline,
          attestations: flags.attest,
          provenance: flags.provenance,
          sbom: flags.sbom,
          progress: noteSteps(invocation.steps ?? new Set(), listener),
          signal: invocation.signal,
        });
      });
      // An archive may have been written there, and is at its end: even an empty text would be one too many.
      if (text !== "") process.stdout.write(text);
      invocation.exitCode = exitCode;
      if (error !== undefined) throw error;
    });
  const compression = compressionOptions("default: as the output is used to");
  for (const option of [...forecastOptions(), ...compression, ...legacyOptions()])
    command.addOption(option);
}

/** Builds, or does what `--call` or `--dry-run` says instead. */
function chooseRun(flags: Flags): (options: BuildOptions) => Promise<CallOutput> {
  const { method, ...call } = readCallFlags(flags);
  const isForecast = wantsForecast(flags);
  if (method !== "build") return (options) => runCall({ ...call, method }, options);
  if (isForecast) return (options) => runForecast(flags, options);
  const isQuiet = flags.quiet === true || flags.progress === "quiet";
  const buildIt = flags.checkReproducible === true ? checkReproducible : build;
  return async (options) => {
    try {
      const { imageId } = await buildIt(options);
      return { text: isQuiet ? `${imageId}\n` : "", exitCode: 0 };
    } catch (error) {
      const differences = differencesOf(error);
      if (differences.length === 0 || !(error instanceof Error)) throw error;
      const lines = differences.map((difference) => `${formatDifference(difference)}\n`);
      return { text: lines.join(""), exitCode: 1, error };
    }
  };
}
