import { formatPlatform, chainIdOf, type DiffId } from "../../core/index.ts";
import type { LayerEntryWithContent } from "../../layer/index.ts";
import type { GroupMember, ImageGroup, LocalImage } from "../../local/index.ts";
import type { Snapshotter } from "../../snapshot/index.ts";
import { compareDocuments } from "./compare-documents.ts";
import { compareLayers } from "./compare-layers.ts";

/** One thing in which two images are not the same. */
export interface ImageDifference {
  /** `os/arch`, where there are images for several platforms. */
  readonly platform?: string;
  /** `config`, or `layer 2 (RUN make)`, counted from 1. */
  readonly place: string;
  /** Of a layer's entry or a config's field; empty when it is all of the place. */
  readonly path: string;
  /** `mtime`, `mode`, `content` and so on for entries; `value` in a config. */
  readonly field: string;
  readonly first: string;
  readonly second: string;
}

export interface CompareRequest {
  readonly snapshots: Pick<Snapshotter, "diff" | "stat">;
  /** Nanoseconds: later times of files count as this one, as when they are rewritten. */
  readonly latest?: bigint | undefined;
}

/**
 * What differs between two images of one Dockerfile, layers first, bottom to top: of each layer the first entry and its
 * first field (or the diffId, where its files are not here), of the config every field. Empty when they are the same.
 */
export async function compareImages(
  first: ImageGroup,
  second: ImageGroup,
  request: CompareRequest,
): Promise<ImageDifference[]> {
  const differences: ImageDifference[] = [];
  for (const [index, member] of first.members.entries()) {
    const other = second.members[index];
    if (other === undefined) throw new Error("a build gave fewer images than before");
    const found = [
      ...(await compareStacks(member.image, other.image, request)),
      ...compareConfigs(member.image, other.image),
    ];
    const platform = first.members.length > 1 ? platformOf(member) : {};
    differences.push(...found.map((difference) => ({ ...platform, ...difference })));
  }
  return differences;
}

function platformOf({ platform }: GroupMember): { readonly platform?: string } {
  return platform === undefined ? {} : { platform: formatPlatform(platform) };
}

async function compareStacks(
  first: LocalImage,
  second: LocalImage,
  request: CompareRequest,
): Promise<ImageDifference[]> {
  const differences: ImageDifference[] = [];
  const [ones, others] = [first.config.diffIds, second.config.diffIds];
  for (let index = 0; index < Math.max(ones.length, others.length); index++) {
    const [one, other] = [ones[index], others[index]];
    if (one === other) continue;
    const place = nameLayer(first, index);
    if (
      !(await isHere(ones, { index, ...request })) ||
      !(await isHere(others, { index, ...request }))
    ) {
      differences.push({
        place,
        path: "",
        field: "diffId",
        first: one ?? none,
        second: other ?? none,
      });
      continue;
    }
    const difference = await compareLayers(
      entriesOf(ones, { index, ...request }),
      entriesOf(others, { index, ...request }),
    );
    if (difference !== undefined) differences.push({ place, ...difference });
  }
  return differences;
}

const none = "no layer";

/** Whether the layer's files are here: those of a base image may never have been unpacked. */
async function isHere(
  diffIds: readonly DiffId[],
  { index, snapshots }: CompareRequest & { readonly index: number },
): Promise<boolean> {
  const chainId = index < diffIds.length ? chainIdOf(diffIds.slice(0, index + 1)) : undefined;
  return chainId !== undefined && (await snapshots.stat(chainId)) !== undefined;
}

/** Entries of one layer of a stack. */
async function* entriesOf(
  diffIds: readonly DiffId[],
  { index, snapshots, latest }: CompareRequest & { readonly index: number },
): AsyncGenerator<LayerEntryWithContent, void, undefined> {
  const chainId = chainIdOf(diffIds.slice(0, index + 1));
  if (chainId === undefined) return;
  for await (const entry of snapshots.diff(chainId)) {
    yield latest !== undefined && entry.mtime > latest ? { ...entry, mtime: latest } : entry;
  }
}

/** `layer 2 (RUN make)`, counted from 1. */
export function nameLayer({ config }: LocalImage, index: number): string {
  const { createdBy } = config.history.filter(({ emptyLayer }) => emptyLayer !== true)[index] ?? {};
  const number = `layer ${String(index + 1)}`;
  return createdBy === undefined ? number : `${number} (${createdBy})`;
}

/** Everything but the layers, which are compared as such. */
function compareConfigs(first: LocalImage, second: LocalImage): ImageDifference[] {
  return compareDocuments(fieldsOf(first), fieldsOf(second)).map((difference) => ({
    place: "config",
    field: "value",
    ...difference,
  }));
}

/** A config document without its layers. */
export function fieldsOf({ configBytes }: LocalImage): unknown {
  const fields = JSON.parse(configBytes.toString()) as Record<string, unknown>;
  return { ...fields, rootfs: undefined };
}
