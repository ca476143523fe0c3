import { Option, type Command } from "commander";
import { runContainer, runFailureExitCode } from "../../api/index.ts";
import { collect, globalFlags, type Invocation } from "../invocation.ts";
import { stepPrinter } from "../warnings.ts";

interface Flags {
  readonly rm?: boolean;
  readonly interactive?: boolean;
  readonly env: readonly string[];
  readonly volume: readonly string[];
  readonly workdir?: string;
  readonly user?: string;
  readonly entrypoint?: string;
  readonly network: "host" | "none" | "default";
  readonly hostname?: string;
  readonly platform?: string;
}

/** `tsbuild run IMAGE [COMMAND…]`: in the foreground, with the exit code of the process. */
export function addRunCommand(program: Command, invocation: Invocation): void {
  program
    .command("run")
    .description("run a command in a new container and wait for it")
    .argument("<image>", "image name or ID; pulled when it is not here")
    .argument("[command...]", "command and arguments instead of the image's CMD")
    .option("--rm", "remove the container when it ends")
    .option("-i, --interactive", "keep standard input open")
    .option("-e, --env <name=value>", "environment variable (repeatable)", collect, [])
    .option("-v, --volume <src:dst[:ro]>", "directory or file of the host", collect, [])
    .option("-w, --workdir <dir>", "working directory")
    .option("-u, --user <user[:group]>", "user of the process")
    .option("--entrypoint <command>", "instead of the image's ENTRYPOINT")
    .option("--hostname <name>", "host name inside")
    .option("--platform <platform>", "which platform of a multi-platform image")
    .addOption(
      new Option("--network <mode>", "network of the container")
        .choices(["default", "host", "none"])
        .default("default"),
    )
    // What follows the image belongs to the command inside, even when it looks like a flag.
    .passThroughOptions()
    .action(async (image: string, args: string[], flags: Flags, command: Command) => {
      invocation.failureCode = runFailureExitCode;
      const result = await runContainer({
        ...globalFlags(command),
        image,
        command: args,
        remove: flags.rm ?? false,
        interactive: flags.interactive ?? false,
        env: flags.env,
        volumes: flags.volume,
        workdir: flags.workdir,
        user: flags.user,
        entrypoint: flags.entrypoint,
        hostname: flags.hostname,
        network: flags.network,
        platform: flags.platform,
        progress: stepPrinter(process.stderr),
        signal: invocation.signal,
        // From here on signals are the container's business, as for docker run.
        onStart: (running) => {
          invocation.forwardSignal = (name) => running.signal(name);
        },
      });
      invocation.exitCode = result.exitCode;
    });
}
