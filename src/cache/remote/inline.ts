import { formatPlatform, isDigest, type Digest, type DiffId } from "../../core/index.ts";
import {
  configPlatform,
  parseImageConfig,
  type Descriptor,
  type ImageConfig,
} from "../../image/index.ts";
import { asObject, parseJson } from "../../store/index.ts";
import { cacheError } from "../errors.ts";
import {
  stateOn,
  type CacheContents,
  type CacheState,
  isTime,
  type RemoteRecord,
} from "./contents.ts";
import { dayOf } from "./merge.ts";

/** Member of an image's config document. */
export const inlineMember = "tsbuild.cache.v1";
/** Where BuildKit puts its own, which names steps in a way that means nothing here. */
const foreignMember = "moby.buildkit.cache.v0";
/** More steps than any image has. */
const maxInlineRecords = 10_000;

/** A step of an image: its key, and how many of the image's layers it and what it stands on have made. */
export interface InlineRecord {
  readonly key: Digest;
  readonly layers: number;
}

/**
 * What makes an image a cache too, as a member of its config document. Nothing in it depends on the machine: it is a part of
 * the image's ID.
 */
export function inlineCache(records: readonly InlineRecord[]): NonNullable<ImageConfig["members"]> {
  const value = { version: 1, records: records.map(({ key, layers }) => ({ key, layers })) };
  return { [inlineMember]: value };
}

/**
 * The cache in an image. `layers` are those of its manifest.
 * @throws CACHE_NOT_FOUND, CACHE_FOREIGN, CACHE_INVALID; IMAGE_INVALID
 */
export function parseInlineCache(
  configBytes: Uint8Array,
  layers: readonly Descriptor[],
  now: Date,
): CacheContents {
  const config = parseImageConfig(configBytes);
  const members = parseJson(Buffer.from(configBytes).toString("utf8"), asObject) ?? {};
  if (members[inlineMember] === undefined) throw missing(members);
  const cache = asObject(members[inlineMember]);
  const found = cache?.["records"];
  if (cache?.["version"] !== 1 || !Array.isArray(found) || found.length > maxInlineRecords) {
    throw invalid("it is not understood");
  }
  if (layers.length !== config.diffIds.length) throw invalid("its layers are not the image's");
  const states = statesOfImage(config);
  const platform = formatPlatform(configPlatform(config));
  const used = dayOf(now);
  const records = found.map((value: unknown, index): RemoteRecord => {
    const { key, layers: depth } = asObject(value) ?? {};
    const state = typeof depth === "number" ? states[depth - 1] : undefined;
    const digest = typeof key === "string" && isDigest(key) ? key : undefined;
    if (state === undefined || digest === undefined) throw invalid(`records[${String(index)}]`);
    return { key: digest, state, durationMs: 0, platform, used };
  });
  return { records, layers: pairs(config.diffIds, layers) };
}

function missing(members: Readonly<Record<string, unknown>>): Error {
  if (members[foreignMember] !== undefined) {
    return cacheError("CACHE_FOREIGN", "read the cache in an image: it is BuildKit's", {
      hint: "only caches that tsbuild wrote are of use here; build once with --cache-to type=inline",
    });
  }
  return cacheError("CACHE_NOT_FOUND", "read the cache in an image: it has none", {
    hint: "build it with --cache-to type=inline, or name a cache that --cache-to wrote",
  });
}

function invalid(why: string): Error {
  return cacheError("CACHE_INVALID", `read the cache in an image: ${why}`);
}

function statesOfImage({ diffIds, history }: ImageConfig): readonly CacheState[] {
  const times = history.filter((entry) => entry.emptyLayer !== true).map((entry) => entry.created);
  const states: CacheState[] = [];
  for (const [index, diffId] of diffIds.entries()) {
    const created = times.length === diffIds.length ? times[index] : undefined;
    // Other tools write times in other words, and of layers that are no steps.
    const told = isTime(created) ? created : undefined;
    states.push(stateOn(states.at(-1), { diffId, created: told }));
  }
  return states;
}

function pairs(
  diffIds: readonly DiffId[],
  layers: readonly Descriptor[],
): ReadonlyMap<DiffId, Descriptor> {
  return new Map(
    diffIds.flatMap((diffId, index) => {
      const blob = layers[index];
      return blob === undefined ? [] : [[diffId, blob] as const];
    }),
  );
}
