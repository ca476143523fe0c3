import { onTestFinished } from "vitest";
import type { Digest } from "../../src/core/index.ts";
import {
  copyGraph,
  serializeManifest,
  type Descriptor,
  type Manifest,
} from "../../src/image/index.ts";
import { digestOf, mediaTypes } from "../../src/core/index.ts";
import {
  openRegistry,
  type Credentials,
  type CredentialSource,
  type OpenRegistryOptions,
  type RegistryRepository,
} from "../../src/registry/index.ts";
import { MemoryPlace } from "./memory-place.ts";

export const me: Credentials = { type: "password", username: "me", password: "top-secret" };

/** Somebody who always has the same credentials, or none. */
export function given(credentials?: Credentials): CredentialSource {
  const found = credentials === undefined ? undefined : { credentials, origin: "test" };
  return () => Promise.resolve(found);
}

/** A repository that closes with the test: patient for a moment, and blind for what this machine is set up for. */
export function openTestRepository(
  host: string,
  options: Partial<OpenRegistryOptions> & { readonly path?: string } = {},
): RegistryRepository {
  const { path = "app", ...rest } = options;
  const repository = openRegistry({
    reference: { domain: host, path },
    access: "pull",
    retry: { attempts: 3, baseDelay: 1 },
    credentials: given(),
    settings: { env: { HOME: "/nonexistent" }, system: "/nonexistent" },
    ...rest,
  });
  onTestFinished(() => repository.close());
  return repository;
}

/** Sends content and gives it a tag. */
export async function pushContent(
  sink: RegistryRepository,
  content: { readonly root: Descriptor; readonly blobs: ReadonlyMap<Digest, Buffer> },
  tag: string,
): Promise<void> {
  const source = new MemoryPlace("test", content.blobs);
  const retry = { attempts: 4, firstDelay: 1 };
  await copyGraph({ source, sink, root: content.root, retry });
  await sink.tag(tag, content.root);
}

/** Everything below a tag. */
export async function pullContent(
  source: RegistryRepository,
  tag: string,
): Promise<ReadonlyMap<Digest, Buffer>> {
  const root = await source.resolve(tag);
  if (root === undefined) throw new Error("not there");
  const sink = new MemoryPlace("test");
  await copyGraph({ source, sink, root, retry: { attempts: 3, firstDelay: 1 } });
  return sink.blobs;
}

/** An artifact of a type that refers to some content. */
export function makeArtifact(
  subject: Descriptor,
  artifactType: string,
): { readonly root: Descriptor; readonly blobs: ReadonlyMap<Digest, Buffer> } {
  const empty = Buffer.from("{}");
  const config = {
    mediaType: "application/vnd.oci.empty.v1+json",
    digest: digestOf(empty),
    size: empty.length,
  };
  const { mediaType, digest, size } = subject;
  const manifest: Manifest = {
    mediaType: mediaTypes.ociManifest,
    artifactType,
    config,
    layers: [config],
    subject: { mediaType, digest, size },
    annotations: { about: artifactType },
  };
  const bytes = serializeManifest(manifest);
  const root = { mediaType: mediaTypes.ociManifest, digest: digestOf(bytes), size: bytes.length };
  return {
    root,
    blobs: new Map([
      [config.digest, empty],
      [root.digest, bytes],
    ]),
  };
}

/** The error that some work fails with. */
