import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeBusyboxRootTar } from "../support/busybox-image.ts";
import { casesFolder } from "./case.ts";
import { type EntryDescription, tarSourceOf } from "./context.ts";
import { type TarSource, writeTar } from "./tar.ts";

/** A base image as `_bases/NAME.json` describes it: busybox below layers of its own. */
interface BaseDescription {
  /** Fields of the config document's `config`. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly layers: readonly (readonly EntryDescription[])[];
}

/** Writes the base images into one docker archive each, `diff.test/NAME:1`; returns the files. */
export async function makeBases(folder: string): Promise<string[]> {
  const root = await readFile(await makeBusyboxRootTar(folder));
  const files = (await readdir(join(casesFolder, "_bases"))).filter((file) => /\.json$/.test(file));
  return Promise.all(
    files.map(async (file) => {
      const text = await readFile(join(casesFolder, "_bases", file), "utf8");
      const name = file.slice(0, -".json".length);
      const archive = join(folder, `${name}.tar`);
      await writeFile(
        archive,
        makeArchive({ root, name, base: JSON.parse(text) as BaseDescription }),
      );
      return archive;
    }),
  );
}

/** An image of one empty layer, for builds that only look at it, as a docker archive named `name`. */
export function makeHollowArchive(name: string, config: object): Buffer {
  const layer = writeTar([]);
  const rootfs = { type: "layers", diff_ids: [digestOf(layer)] };
  return writeTar([
    file("config.json", JSON.stringify({ ...config, rootfs, history: [{ created_by: name }] })),
    file("layer.tar", layer),
    file(
      "manifest.json",
      JSON.stringify([{ Config: "config.json", RepoTags: [name], Layers: ["layer.tar"] }]),
    ),
  ]);
}

function makeArchive(options: {
  readonly root: Buffer;
  readonly name: string;
  readonly base: BaseDescription;
}): Buffer {
  const { root, name, base } = options;
  const layers = [root, ...base.layers.map((entries) => writeTar(entries.map(tarSourceOf)))];
  const created = "2001-09-09T01:46:40Z";
  const config = {
    created,
    os: "linux",
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    config: base.config,
    rootfs: { type: "layers", diff_ids: layers.map(digestOf) },
    history: layers.map((_, index) => ({ created, created_by: `layer ${String(index)}` })),
  };
  const files = layers.map((layer, index) => ({ name: `layer-${String(index)}.tar`, layer }));
  const manifest = {
    Config: "config.json",
    RepoTags: [`diff.test/${name}:1`],
    Layers: files.map((file) => file.name),
  };
  return writeTar([
    file("config.json", JSON.stringify(config)),
    ...files.map((layer) => file(layer.name, layer.layer)),
    file("manifest.json", JSON.stringify([manifest])),
  ]);
}

function file(path: string, content: string | Buffer): TarSource {
  return { ...tarSourceOf({ path }), content: Buffer.from(content) };
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
