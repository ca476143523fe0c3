import type { Command } from "commander";
import {
  addToList,
  annotateList,
  createList,
  removeFromList,
  removeLists,
  type ListedDetails,
} from "../../../api/index.ts";
import { collect, globalFlags, type Invocation } from "../../invocation.ts";
import { warningPrinter } from "../../warnings.ts";

interface DetailFlags {
  readonly os?: string;
  readonly arch?: string;
  readonly variant?: string;
  readonly osVersion?: string;
  readonly osFeatures: readonly string[];
  readonly annotation: readonly string[];
}

interface CreateFlags {
  readonly amend?: boolean;
  readonly annotation: readonly string[];
  readonly insecure?: boolean;
}

const imageHelp = `
An image is a name in the local store, else in a registry; docker://NAME is one in a registry,
oci:DIR:REF and the like are others. Of an index all images are taken.
`;

/** `create`, `add`, `annotate`, `remove` and `rm`. */
export function addEditCommands(manifest: Command, invocation: Invocation): void {
  const watched = { signal: invocation.signal, progress: warningPrinter(process.stderr) };
  manifest
    .command("create")
    .description("begin a list of images")
    .argument("<list>", "name of the list, to which it is pushed")
    .argument("[image...]", "images for it")
    .option("-a, --amend", "go on with a list that is there")
    .option("--annotation <key=value>", "annotation of the list itself", collect, [])
    .option("--all", "accepted for compatibility: of an index all images are taken")
    .option("--insecure", "accept any certificate, and plain http")
    .addHelpText("after", imageHelp)
    .action(async (name: string, images: string[], flags: CreateFlags, command: Command) => {
      const { amend, annotation: annotations, insecure } = flags;
      const options = { ...globalFlags(command), name, images, amend, annotations, insecure };
      process.stdout.write(
        `Created manifest list ${await createList({ ...options, ...watched })}\n`,
      );
    });
  withDetails(
    manifest
      .command("add")
      .description("add images to a list")
      .argument("<list>", "name of the list")
      .argument("<image...>", "images to add")
      .option("--all", "accepted for compatibility: of an index all images are taken")
      .option("--insecure", "accept any certificate, and plain http")
      .addHelpText("after", imageHelp),
  ).action(
    async (
      name: string,
      images: string[],
      flags: DetailFlags & { readonly insecure?: boolean },
      command: Command,
    ) => {
      const details = readDetails(flags);
      const { insecure } = flags;
      const options = { ...globalFlags(command), name, images, details, insecure };
      process.stdout.write(`${await addToList({ ...options, ...watched })}\n`);
    },
  );
  withDetails(
    manifest
      .command("annotate")
      .description("change what a list says of one of its images")
      .argument("<list>", "name of the list")
      .argument("<image>", "its digest, or its name as it was when it was added"),
  ).action(async (name: string, image: string, flags: DetailFlags, command: Command) => {
    const details = readDetails(flags);
    await annotateList({ ...globalFlags(command), name, image, details, ...watched });
  });
  manifest
    .command("remove")
    .description("take images out of a list")
    .argument("<list>", "name of the list")
    .argument("<image...>", "digests, or names as they were when they were added")
    .action(async (name: string, images: string[], _flags: object, command: Command) => {
      const options = { ...globalFlags(command), name, images };
      process.stdout.write(`${await removeFromList({ ...options, ...watched })}\n`);
    });
  manifest
    .command("rm")
    .description("forget lists; the images stay")
    .argument("<list...>", "names of lists")
    .action(async (names: string[], _flags: object, command: Command) => {
      const removed = await removeLists({ ...globalFlags(command), names, ...watched });
      for (const name of removed) process.stdout.write(`${name}\n`);
    });
}

function withDetails(command: Command): Command {
  return command
    .option("--os <os>", "operating system")
    .option("--arch <arch>", "architecture, such as amd64")
    .option("--variant <variant>", "variant of the architecture, such as v7")
    .option("--os-version <version>", "version of the operating system")
    .option("--os-features <features>", "features of the operating system, added", collect, [])
    .option("--annotation <key=value>", "annotation of the image's entry, added", collect, []);
}

function readDetails(flags: DetailFlags): ListedDetails {
  const { os, arch: architecture, variant, osVersion, annotation: annotations } = flags;
  const osFeatures = flags.osFeatures.flatMap((list) => list.split(","));
  return { os, architecture, variant, osVersion, osFeatures, annotations };
}
