import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { repository } from "./cli.ts";

const exec = promisify(execFile);

/** Parts of an image config that a base image for tests may want. */
export interface BaseConfig {
  readonly Env?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly WorkingDir?: string;
  readonly User?: string;
  readonly OnBuild?: readonly string[];
}

/** A root filesystem of busybox as a tar, made anew; returns its path inside `folder`. */
export async function makeBusyboxRootTar(folder: string): Promise<string> {
  const tar = join(folder, "busybox-root.tar");
  await exec(join(repository, "fixtures/scripts/make-busybox-root.sh"), [tar]);
  return tar;
}

/**
 * Turns a root filesystem's tar into a one-layer image in a registry, with nothing of tsbuild: an OCI layout written
 * here and copied by skopeo.
 */
export async function pushRootTar(image: {
  readonly tar: string;
  /** Such as `127.0.0.1:5000/busybox:1`. */
  readonly name: string;
  readonly config?: BaseConfig;
}): Promise<void> {
  const layout = await mkdtemp(join(tmpdir(), "tsbuild-layout-"));
  try {
    await writeLayout({ layout, ...image });
    const to = `docker://${image.name}`;
    const from = `oci:${layout}:base`;
    await exec("skopeo", ["copy", "--insecure-policy", "--dest-tls-verify=false", from, to]);
  } finally {
    await rm(layout, { recursive: true, force: true });
  }
}

/** Makes the busybox image and pushes it; returns its name `HOST/busybox:1`. */
export async function pushBusybox(
  host: string,
  { name = "busybox:1", config = {} }: { name?: string; config?: BaseConfig } = {},
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tsbuild-busybox-"));
  try {
    const tar = await makeBusyboxRootTar(folder);
    const full = `${host}/${name}`;
    await pushRootTar({ tar, name: full, config: { Cmd: ["sh"], ...config } });
    return full;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function writeLayout(image: {
  readonly layout: string;
  readonly tar: string;
  readonly config?: BaseConfig;
}): Promise<void> {
  const blobs = join(image.layout, "blobs/sha256");
  await mkdir(blobs, { recursive: true });
  const layer = await readFile(image.tar);
  const diffId = digestOf(layer);
  await copyFile(image.tar, join(blobs, hexOf(diffId)));
  const put = async (mediaType: string, value: unknown): Promise<object> => {
    const bytes = Buffer.from(JSON.stringify(value));
    const digest = digestOf(bytes);
    await writeFile(join(blobs, hexOf(digest)), bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const architecture = process.arch === "x64" ? "amd64" : process.arch;
  const config = await put("application/vnd.oci.image.config.v1+json", {
    created: "1970-01-01T00:00:00Z",
    os: "linux",
    architecture,
    config: {
      Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
      ...image.config,
    },
    rootfs: { type: "layers", diff_ids: [diffId] },
    history: [{ created: "1970-01-01T00:00:00Z", created_by: "root filesystem" }],
  });
  const manifestType = "application/vnd.oci.image.manifest.v1+json";
  const layerType = "application/vnd.oci.image.layer.v1.tar";
  const manifest = await put(manifestType, {
    schemaVersion: 2,
    mediaType: manifestType,
    config,
    layers: [{ mediaType: layerType, digest: diffId, size: layer.length }],
  });
  const annotations = { "org.opencontainers.image.ref.name": "base" };
  const index = { schemaVersion: 2, manifests: [{ ...manifest, annotations }] };
  await writeFile(join(image.layout, "index.json"), JSON.stringify(index));
  await writeFile(join(image.layout, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

function hexOf(digest: string): string {
  return digest.slice("sha256:".length);
}
