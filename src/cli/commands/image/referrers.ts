import { Option, type Command } from "commander";
import { listArtifacts } from "../../../api/index.ts";
import { globalFlags, type Invocation } from "../../invocation.ts";
import { formatTable } from "../../table.ts";
import { warningPrinter } from "../../warnings.ts";
import { subjectHelp } from "./place-help.ts";

interface Flags {
  readonly artifactType?: string;
  readonly platform?: string;
  readonly insecure?: boolean;
  readonly format: "table" | "json";
}

/** `tsbuild image referrers IMAGE` */
export function addReferrersCommand(image: Command, { signal }: Invocation): void {
  image
    .command("referrers")
    .description("list signatures, attestations and other artifacts that refer to an image")
    .argument("<image>", "what they are about")
    .option("--artifact-type <type>", "only those of this type")
    .option("--platform <platform>", "about this image of an index (default: the index)")
    .addOption(
      new Option("--format <format>", "output format").choices(["table", "json"]).default("table"),
    )
    .option("--insecure", "accept any certificate, and plain http")
    .addHelpText("after", subjectHelp)
    .action(async (place: string, flags: Flags, command: Command) => {
      const { artifactType, platform, insecure, format } = flags;
      const { artifacts, tagged, document } = await listArtifacts({
        ...globalFlags(command),
        ...{ image: place, artifactType, platform, insecure, signal },
        progress: warningPrinter(process.stderr),
      });
      if (format === "json") process.stdout.write(`${document.toString("utf8")}\n`);
      else {
        const titles = ["DIGEST", "ARTIFACT TYPE", ...(tagged.length === 0 ? [] : ["TAG"])];
        const rows = [
          ...artifacts.map(({ digest, artifactType: type = "" }) => [digest, type]),
          ...tagged.map(({ descriptor, tag }) => [descriptor.digest, "", tag]),
        ];
        process.stdout.write(formatTable(titles, rows));
      }
    });
}
