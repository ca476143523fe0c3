import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder } from "./setup-context.ts";
import { runProgram, type Workspace } from "./setup-workspace.ts";

/** This machine's architecture, and one that is not. */
export const hostArch = process.arch === "arm64" ? "arm64" : "amd64";
export const otherArch = hostArch === "arm64" ? "amd64" : "arm64";
/** Both as `--platform` takes them, this machine's first. */
export const bothPlatforms = `linux/${hostArch},linux/${otherArch}`;

export interface WireDescriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: { readonly os: string; readonly architecture: string };
}

/** An OCI layout as it lies on disk: JSON by digest, whatever wrote it. */
export class Layout {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  /** Of a tar, unpacked by tar(1). */
  static async ofTar(tar: string): Promise<Layout> {
    const directory = await makeFolder("layout");
    await runProgram("tar", ["-xf", tar, "-C", directory]);
    return new Layout(directory);
  }

  async entries(): Promise<readonly WireDescriptor[]> {
    const text = await readFile(join(this.directory, "index.json"), "utf8");
    return (JSON.parse(text) as { manifests: WireDescriptor[] }).manifests;
  }

  pathOf(digest: string): string {
    return join(this.directory, "blobs", digest.replace(":", "/"));
  }

  async text(digest: string): Promise<string> {
    return readFile(this.pathOf(digest), "utf8");
  }

  async read<T>(digest: string): Promise<T> {
    return JSON.parse(await this.text(digest)) as T;
  }

  /** The index that the first entry names. */
  async index(): Promise<{
    readonly mediaType: string;
    readonly manifests: readonly WireDescriptor[];
    readonly annotations?: Readonly<Record<string, string>>;
  }> {
    return this.read((await this.entries())[0]?.digest ?? "");
  }

  /** Manifest and config of an image, by the manifest's digest; of the first entry unless given. */
  async image(digest?: string): Promise<WireImage> {
    const chosen = digest ?? (await this.entries())[0]?.digest ?? "";
    const manifest = await this.read<WireImage["manifest"]>(chosen);
    return { manifest, config: await this.read(manifest.config.digest) };
  }
}

export interface WireImage {
  readonly manifest: {
    readonly mediaType: string;
    readonly config: WireDescriptor;
    readonly layers: readonly WireDescriptor[];
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly config: {
    readonly created?: string;
    readonly architecture: string;
    readonly os: string;
    readonly variant?: string;
    readonly config: Readonly<Record<string, unknown>>;
    readonly rootfs: { readonly type: string; readonly diff_ids: readonly string[] };
    readonly history: readonly {
      readonly created?: string;
      readonly created_by?: string;
      readonly comment?: string;
      readonly empty_layer?: boolean;
    }[];
  };
}

/** Builds a context to a layout; `args` beside the output. */
export async function buildLayout(
  workspace: Workspace,
  context: string,
  args: readonly string[] = [],
): Promise<Layout> {
  const tar = join(await makeFolder("layout"), "image.tar");
  await workspace.expectCli([...args, "-o", `type=oci,dest=${tar}`, context]);
  return Layout.ofTar(tar);
}

/**
 * Pushes an image of several architectures, each with a file `/arch` and an environment of its own; returns its name.
 */
export async function pushIndex(
  workspace: Workspace,
  repository: string,
  architectures: readonly string[] = [hostArch, otherArch],
): Promise<string> {
  const name = `${workspace.registry.host}/${repository}:1`;
  const folder = await workspace.context({
    Dockerfile: "FROM scratch\nARG TARGETARCH\nENV BASE_ARCH=$TARGETARCH\nCOPY $TARGETARCH /arch\n",
    ...Object.fromEntries(architectures.map((each) => [each, `${each}\n`])),
  });
  const platforms = architectures.map((each) => `linux/${each}`).join(",");
  const root = await workspace.freshRoot();
  await workspace.expectCli(["--platform", platforms, "-t", name, "--push", folder], { root });
  return name;
}
