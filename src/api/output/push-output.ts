import {
  formatRepository,
  mediaTypes,
  parseReference,
  shortDigest,
  type Digest,
  type LayerCompression,
} from "../../core/index.ts";
import { openFileThread, type StepLog } from "../../build/index.ts";
import { copyGraph, type CopyProgress, type Descriptor } from "../../image/index.ts";
import type { ImageGroup } from "../../local/index.ts";
import type { RegistryRepository } from "../../registry/index.ts";
import type { NameRecord } from "../../store/index.ts";
import { BaseImages } from "../base-images.ts";
import type { Engine } from "../engine.ts";
import { openRepository } from "../open-repository.ts";
import { familiar, fetching } from "./archive-output.ts";
import { EarlyUploads } from "./early-uploads.ts";
import { MountSources } from "./mount-sources.ts";

export interface PushRequest {
  readonly engine: Engine;
  readonly group: ImageGroup;
  /** Full names; each tells its registry. */
  readonly names: readonly string[];
  readonly steps: StepLog;
  readonly form?: {
    readonly compression?: LayerCompression;
    readonly compressionLevel?: number;
    readonly forceCompression?: boolean;
    readonly dockerTypes?: boolean;
  };
  /** The image as it came, when every byte of it is here: it leaves like that. See `LocalImages.findOriginal`. */
  readonly original?: Descriptor | undefined;
  /** The content without a tag. */
  readonly byDigest?: boolean;
  /** The names stand for these images in the store, which then remembers what the registry knows them by. */
  readonly isNamedHere?: boolean;
  readonly insecure?: boolean | undefined;
}

/**
 * Sends images to the registries of their names: what stands there for a tag afterwards is returned.
 * @throws REGISTRY_*, LOCAL_*
 */
export async function pushGroup(request: PushRequest): Promise<Descriptor> {
  const { engine, group, steps, form = {} } = request;
  const { signal } = engine;
  const bases = new BaseImages(engine, { pull: false });
  const { compression = "gzip", compressionLevel, forceCompression, dockerTypes } = form;
  const mounts = new MountSources(engine);
  const repositories = await openRepositories(request, mounts);
  const records = request.isNamedHere === true ? await recordsOf(request) : [];
  const thread = openFileThread();
  const [first] = repositories;
  const early = first && new EarlyUploads(engine, mounts, first);
  try {
    const standing = new Map<NamedRepository, Digest | undefined>();
    for (const named of repositories) standing.set(named, await signIn(named, request));
    const exported =
      request.original === undefined
        ? await steps.run({ name: "compressing layers", phase: "compress" }, () =>
            engine.images.exportGroup(group, {
              compression,
              reuse: forceCompression !== true,
              ...(compressionLevel === undefined ? {} : { compressionLevel }),
              ...(dockerTypes === true ? { dockerTypes } : {}),
              ...fetching(group, bases),
              thread,
              listenTo: (layer) => early?.listenTo(layer) ?? Promise.resolve(undefined),
              signal,
            }),
          )
        : { root: request.original, source: engine.images.source() };
    mounts.take(exported);
    for (const named of repositories) {
      await pushName(named, { ...request, exported, early, standing: standing.get(named) });
    }
    for (const record of records) await rememberPush(engine, record, exported.root);
    return exported.root;
  } finally {
    await early?.settle();
    for (const { repository } of repositories) await repository.close();
    await bases.close();
    await thread?.close();
  }
}

/** A name with the place that it leads to. */
interface NamedRepository {
  readonly name: string;
  readonly domain: string;
  readonly repository: RegistryRepository;
}

async function openRepositories(
  { engine, names, insecure = false }: PushRequest,
  mounts: MountSources,
): Promise<readonly NamedRepository[]> {
  return Promise.all(
    names.map(async (name) => {
      const reference = parseReference(name);
      const repository = await openRepository(engine, {
        reference,
        access: "push",
        insecure,
        mountFrom: (descriptor) => mounts.find(reference.domain, descriptor),
      });
      return { name, domain: reference.domain, repository };
    }),
  );
}

/**
 * Asks for something small first: layers are not compressed for a registry that is not there, or refuses us. It is what the
 * name stands for there, which often is what is about to be pushed; undefined when it is unknown.
 */
async function signIn(
  { name, repository }: NamedRepository,
  { engine: { signal }, group, byDigest }: PushRequest,
): Promise<Digest | undefined> {
  if (byDigest !== true) return repository.standsFor(name, signal);
  const [member] = group.members;
  if (member === undefined) return undefined;
  const { id: digest, configBytes } = member.image;
  await repository.has(
    { mediaType: mediaTypes.ociConfig, digest, size: configBytes.length },
    signal,
  );
  return undefined;
}

async function recordsOf({ engine, names }: PushRequest): Promise<readonly NameRecord[]> {
  const records = await Promise.all(names.map((name) => engine.store.names.get(name)));
  return records.filter((record) => record !== undefined);
}

/** `inspect` tells the digest, and later pushes to the same registry find the layers there. */
async function rememberPush(
  { store }: Engine,
  { name, descriptor }: NameRecord,
  pushed: Descriptor,
): Promise<void> {
  const present = await store.names.get(name);
  // Somebody may have given the name to another image meanwhile.
  if (present === undefined || present.descriptor.digest !== descriptor.digest) return;
  await store.names.set({ name, descriptor, repoDigest: pushed.digest });
}

async function pushName(
  { name, repository }: NamedRepository,
  request: PushRequest & {
    readonly exported: Awaited<ReturnType<Engine["images"]["exportGroup"]>>;
    readonly early: EarlyUploads | undefined;
    /** What the name stands for in the registry. */
    readonly standing: Digest | undefined;
  },
): Promise<void> {
  const { engine, steps, early, standing, byDigest = false } = request;
  const { root, source } = request.exported;
  const { signal } = engine;
  const shown = byDigest
    ? `${formatRepository(parseReference(name))}@${root.digest}`
    : familiar([name]).join();
  await steps.run({ name: `pushing ${shown}`, phase: "push" }, async (step) => {
    await early?.settle((descriptor, current) => {
      step.progress(describe({ descriptor, current, done: false, skipped: false }));
    });
    const onProgress = (progress: CopyProgress): void => step.progress(describe(progress));
    // A registry takes a manifest when it has all that it names.
    if (standing === root.digest) {
      return onProgress({ descriptor: root, current: root.size, done: true, skipped: true });
    }
    await copyGraph({ source, sink: repository, root, signal, onProgress });
    if (!byDigest) await repository.tag(name, root, signal);
  });
}

/** A piece of content on its way, as a step shows it. */
export function describe(progress: CopyProgress): {
  readonly item: string;
  readonly current: number;
  readonly total: number;
  readonly unit: "bytes";
  readonly done: boolean;
} {
  const { descriptor, current, done } = progress;
  return {
    item: shortDigest(descriptor.digest),
    current,
    total: descriptor.size,
    unit: "bytes",
    done,
  };
}
