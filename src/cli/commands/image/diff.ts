import { Option, type Command } from "commander";
import { diffImages, type ComparedImage, type ImageDiff } from "../../../api/index.ts";
import { globalFlags, type Invocation } from "../../invocation.ts";
import { formatCount, formatSize } from "../../table.ts";
import { warningPrinter } from "../../warnings.ts";
import { placeHelp } from "./place-help.ts";

interface Flags {
  readonly platform?: string;
  readonly times?: boolean;
  readonly insecure?: boolean;
  readonly format: "text" | "json";
}

/** `tsbuild image diff A B` */
export function addDiffCommand(image: Command, invocation: Invocation): void {
  image
    .command("diff")
    .description("tell what differs between two images: config, layers and files")
    .argument("<first>", "place of an image")
    .argument("<second>", "place of another")
    .option("--platform <platform>", "which images of indexes (default: this machine's)")
    .option("--times", "files of which only the time differs, too")
    .option("--insecure", "accept any certificate, and plain http")
    .addOption(
      new Option("--format <format>", "output format").choices(["text", "json"]).default("text"),
    )
    .addHelpText("after", placeHelp)
    .action(async (first: string, second: string, flags: Flags, command: Command) => {
      const { platform, times, insecure, format } = flags;
      const { signal } = invocation;
      const options = { ...globalFlags(command), first, second, platform, times, insecure };
      const progress = warningPrinter(process.stderr);
      const found = await diffImages({ ...options, progress, signal });
      process.stdout.write(
        format === "json" ? `${JSON.stringify(found, undefined, 2)}\n` : describe(found),
      );
    });
}

function describe(diff: ImageDiff): string {
  const { first, second, config, files, sharedLayers } = diff;
  if (diff.isSame) return `The images are the same: ${first.id}\n`;
  const grown = second.size - first.size;
  return [
    describeImage("-", first),
    describeImage("+", second),
    `Layers: ${String(sharedLayers)} shared; ${grown < 0 ? "-" : "+"}${formatSize(Math.abs(grown))}`,
    ...first.layers.map(({ place, size }) => `  - ${place}: ${formatSize(size)}`),
    ...second.layers.map(({ place, size }) => `  + ${place}: ${formatSize(size)}`),
    `Config: ${formatCount(config.length, "difference")}`,
    ...config.map(({ path, first: was, second: is }) => `  ${path}: ${was} -> ${is}`),
    `Files: ${formatCount(files.length, "difference")}`,
    ...files.map(describeFile),
    "",
  ].join("\n");
}

function describeImage(sign: string, { name, id, size }: ComparedImage): string {
  return `${sign} ${name} ${id} ${formatSize(size)}`;
}

function describeFile({ path, change, sizes, fields }: ImageDiff["files"][number]): string {
  const shown = JSON.stringify(path).slice(1, -1);
  if (change === "added") return `  A ${shown} ${formatSize(sizes[1])}`;
  if (change === "removed") return `  D ${shown} ${formatSize(sizes[0])}`;
  const told = fields.map(({ field, first, second }) => `${field} ${first} -> ${second}`);
  return `  C ${shown} ${told.join(", ")}`;
}
