import { Option, type Command } from "commander";
import { createIndex, inspectIndex, type InspectedIndex } from "../../api/index.ts";
import { formatPlatform } from "../../core/index.ts";
import { collect, globalFlags, type Invocation } from "../invocation.ts";
import { platformList } from "../platform-option.ts";
import { readSwitch } from "../read-switch.ts";
import { progressOption, withProgress, type ProgressFlags } from "../with-progress.ts";
import { warningPrinter } from "../warnings.ts";

interface CreateFlags extends ProgressFlags {
  readonly tag: readonly string[];
  readonly file: readonly string[];
  readonly append?: boolean;
  readonly annotation: readonly string[];
  readonly platform: readonly string[];
  readonly preferIndex?: boolean;
  readonly dryRun?: boolean;
  readonly metadataFile?: string;
  readonly insecure?: boolean;
}

const sourceHelp = `
A source is a name in a registry, a digest in the repository of the first --tag, or a descriptor
as JSON. Of one index that is not changed the copy has the same digest.
`;

/** `tsbuild imagetools …`: indexes of images that are in registries, in buildx' words. */
export function addImagetoolsCommand(program: Command, invocation: Invocation): void {
  const imagetools = program
    .command("imagetools")
    .description("put images in registries together under one name, in one step");
  imagetools
    .command("create")
    .description("create an index of images in registries, and write it there")
    .argument("[source...]", "images")
    .option("-t, --tag <name>", "name to write it to (repeatable)", collect, [])
    .option("-f, --file <file>", "file with a source in it (repeatable)", collect, [])
    .option("--append", "add to what stands under the first name")
    .option(
      "--annotation <annotation>",
      "index:key=value or manifest-descriptor[platform]:key=value (repeatable)",
      collect,
      [],
    )
    .option("-p, --platform <platforms>", "only the images for these", collect, [])
    .addOption(
      new Option(
        "--prefer-index [bool]",
        "make an index of one image alone, too; default true",
      ).argParser(readSwitch("--prefer-index")),
    )
    .option("--dry-run", "print the index instead of writing it")
    .option("--metadata-file <file>", "write the digest and names to a file, as JSON")
    .addOption(new Option("--builder <name>", "accepted for compatibility").hideHelp())
    .option("--insecure", "accept any certificate, and plain http")
    .option("-q, --quiet", "show no progress")
    .addOption(progressOption())
    .addHelpText("after", sourceHelp)
    .action(async (sources: readonly string[], flags: CreateFlags, command: Command) => {
      const { append, dryRun, metadataFile, insecure } = flags;
      const { descriptor, document } = await withProgress(flags, (listener) =>
        createIndex({
          ...globalFlags(command),
          ...{ targets: flags.tag, sources, files: flags.file, append, dryRun, insecure },
          ...{ annotations: flags.annotation, platforms: platformList(flags.platform) },
          ...{ preferIndex: flags.preferIndex, metadataFile },
          progress: listener,
          signal: invocation.signal,
        }),
      );
      process.stdout.write(
        dryRun === true ? `${document.toString("utf8")}\n` : `${descriptor.digest}\n`,
      );
    });
  addInspectCommand(imagetools, invocation);
}

/** What scripts read most; a whole language of templates is not worth it. */
const templates: Readonly<Record<string, (found: InspectedIndex) => string>> = {
  "{{.Name}}": ({ name }) => name,
  "{{.Manifest.Digest}}": ({ descriptor }) => descriptor.digest,
  "{{.Manifest.MediaType}}": ({ descriptor }) => descriptor.mediaType,
  "{{json .Manifest}}": ({ descriptor: { mediaType, digest, size }, document }) => {
    const told = JSON.parse(document.toString("utf8")) as { readonly manifests?: unknown };
    const all = { schemaVersion: 2, mediaType, digest, size, manifests: told.manifests };
    return JSON.stringify(all, undefined, 2);
  },
};

function addInspectCommand(imagetools: Command, { signal }: Invocation): void {
  imagetools
    .command("inspect")
    .description("tell what a registry has under a name")
    .argument("<name>", "image or index")
    .option("--raw", "the manifest or index as it stands there, byte for byte")
    .addOption(new Option("--format <template>", "one thing of it").choices(Object.keys(templates)))
    .addOption(new Option("--builder <name>", "accepted for compatibility").hideHelp())
    .option("--insecure", "accept any certificate, and plain http")
    .action(
      async (
        name: string,
        flags: { readonly raw?: boolean; readonly format?: string; readonly insecure?: boolean },
        command: Command,
      ) => {
        const { raw, format, insecure } = flags;
        const progress = warningPrinter(process.stderr);
        const options = { ...globalFlags(command), name, insecure, progress, signal };
        const found = await inspectIndex(options);
        if (raw === true) process.stdout.write(found.document);
        else process.stdout.write(`${templates[format ?? ""]?.(found) ?? describe(found)}\n`);
      },
    );
}

type Descriptor = InspectedIndex["descriptor"];

function describe({ name, descriptor, manifests }: InspectedIndex): string {
  const lines = (text: string, { mediaType, digest }: Descriptor): readonly string[] => [
    `Name:      ${text}`,
    `MediaType: ${mediaType}`,
    ...(text === name ? [`Digest:    ${digest}`] : []),
  ];
  const entries = manifests.map((entry) => {
    const { platform, annotations = {} } = entry;
    const own = [
      ...lines(`${name.replace(/(?:@.*|:[^/:]*)$/, "")}@${entry.digest}`, entry),
      ...(platform === undefined ? [] : [`Platform:  ${formatPlatform(platform)}`]),
      ...Object.entries(annotations).map(([key, value]) => `  ${key}: ${value}`),
    ];
    return own.map((line) => `  ${plain(line)}`).join("\n");
  });
  const listed = entries.length === 0 ? [] : ["", "Manifests:", entries.join("\n\n")];
  return [...lines(name, descriptor).map(plain), ...listed].join("\n");
}

/** Annotations come from strangers. */
function plain(line: string): string {
  return line.replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ");
}
