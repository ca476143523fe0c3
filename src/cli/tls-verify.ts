import { Option, type Command } from "commander";
import { usageError } from "../api/index.ts";

/** Lets commands that know `--insecure` take `--tls-verify=false` too, as podman and skopeo spell it. */
export function acceptTlsVerify(command: Command): void {
  if (!command.options.some(({ long }) => long === "--insecure")) return;
  command.addOption(new Option("--tls-verify [bool]", "the opposite of --insecure").hideHelp());
  command.hook("preAction", (_, called) => {
    const { tlsVerify = true } = called.opts<{ readonly tlsVerify?: string | true }>();
    if (tlsVerify === true || tlsVerify === "true") return;
    if (tlsVerify !== "false") {
      throw usageError(`read --tls-verify=${tlsVerify}`, "give true or false");
    }
    called.setOptionValue("insecure", true);
  });
}
