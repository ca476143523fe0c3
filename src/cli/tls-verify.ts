import { Option, type Command } from "commander";
import { readSwitch } from "./read-switch.ts";

/** Lets commands that know `--insecure` take `--tls-verify=false` too, as podman and skopeo spell it. */
export function acceptTlsVerify(command: Command): void {
  if (!command.options.some(({ long }) => long === "--insecure")) return;
  const option = new Option("--tls-verify [bool]", "the opposite of --insecure");
  command.addOption(option.argParser(readSwitch("--tls-verify")).hideHelp());
  command.hook("preAction", (_, called) => {
    const { tlsVerify = true } = called.opts<{ readonly tlsVerify?: boolean }>();
    if (!tlsVerify) called.setOptionValue("insecure", true);
  });
}
