import {
  formatPlatform,
  normalizePlatform,
  parsePlatform,
  type Platform,
} from "../../core/index.ts";
import type { ImageGroup } from "../../local/index.ts";
import { apiError, usageError } from "../errors.ts";
import type { Annotation } from "./types.ts";

const targets = ["manifest", "manifest-descriptor", "index", "index-descriptor"] as const;

/** `--annotation [types[platform]:]key=value`, for each of the types. @throws USAGE, PLATFORM_INVALID */
export function parseAnnotation(text: string): readonly Annotation[] {
  const equals = text.indexOf("=");
  const name = equals === -1 ? text : text.slice(0, equals);
  const value = equals === -1 ? "" : text.slice(equals + 1);
  const colon = name.indexOf(":");
  const key = name.slice(colon + 1);
  if (equals === -1 || key === "") throw invalidAnnotation(text);
  const types = colon === -1 ? ["manifest"] : name.slice(0, colon).split(",");
  return types.map((type) => ({ ...parseTarget(type, text), key, value }));
}

/** `annotation[-type][[platform]].key` as a field of an output; undefined when it is another field. */
export function parseAnnotationField(field: string, value: string): Annotation | undefined {
  const match = /^annotation(?:-([a-z-]+))?(\[[A-Za-z0-9_/-]+\])?\.(\S+)$/.exec(field);
  if (match === null) return undefined;
  const [, type = "manifest", platform = "", key = ""] = match;
  return { ...parseTarget(`${type}${platform}`, `${field}=${value}`), key, value };
}

function parseTarget(text: string, whole: string): Pick<Annotation, "target" | "platform"> {
  const match = /^([a-z-]+)(?:\[([A-Za-z0-9_/-]+)\])?$/.exec(text);
  const target = targets.find((each) => each === match?.[1]);
  if (target === undefined) throw invalidAnnotation(whole);
  const platform = match?.[2];
  return { target, ...(platform === undefined ? {} : { platform: parsePlatform(platform) }) };
}

function invalidAnnotation(text: string): Error {
  return usageError(
    `read annotation ${JSON.stringify(text)}`,
    `write key=value, or type:key=value with a type of ${targets.join(", ")}`,
  );
}

/** @throws OUTPUT_UNSUPPORTED for annotations of an index that there will not be */
export function checkAnnotations(annotations: readonly Annotation[], isIndex: boolean): void {
  const wrong = annotations.find(({ target }) => target.startsWith("index"));
  if (isIndex || wrong === undefined) return;
  throw apiError(
    "OUTPUT_UNSUPPORTED",
    "export image: index annotations not supported for single platform export",
    {
      hint: "annotate the manifest, or build for several platforms (or with BUILDKIT_MULTI_PLATFORM=1)",
      details: { key: wrong.key, type: wrong.target },
    },
  );
}

/** The same images with these annotations on their documents. */
export function annotate(group: ImageGroup, annotations: readonly Annotation[]): ImageGroup {
  if (annotations.length === 0) return group;
  const members = group.members.map((member) => {
    const { platform } = member;
    const manifest = recordOf(annotations, { target: "manifest", platform });
    const entry = recordOf(annotations, { target: "manifest-descriptor", platform });
    return {
      ...member,
      ...(entry === undefined ? {} : { annotations: entry }),
      ...(manifest === undefined ? {} : { image: { ...member.image, annotations: manifest } }),
    };
  });
  const index = recordOf(annotations, { target: "index" });
  if (group.index === undefined || index === undefined) return { ...group, members };
  return { members, index: { ...group.index, annotations: index } };
}

/** What descriptors of the index itself are to say, as an archive's `index.json` holds them. */
export function indexDescriptorAnnotations(
  annotations: readonly Annotation[],
): Readonly<Record<string, string>> | undefined {
  return recordOf(annotations, { target: "index-descriptor" });
}

/**
 * What documents of one kind are to say, of the image for `platform` where it is an image's; what is said of one platform
 * counts more than what is said of all.
 */
export function annotationsFor(
  annotations: readonly Annotation[],
  about: { readonly target: Annotation["target"]; readonly platform?: Platform | undefined },
): Readonly<Record<string, string>> {
  const { target } = about;
  // An index is for no platform, whatever somebody wrote.
  const isOwn = (each: Annotation): boolean =>
    target.startsWith("index") || isFor(each, about.platform);
  const own = annotations.filter((each) => each.target === target && isOwn(each));
  const ordered = [
    ...own.filter(({ platform }) => platform === undefined),
    ...own.filter(({ platform }) => platform !== undefined),
  ];
  return Object.fromEntries(ordered.map(({ key, value }) => [key, value]));
}

/** Indexes of other tools spell the variant that goes without saying (`arm64/v8`). */
function isFor({ platform }: Annotation, wanted: Platform | undefined): boolean {
  if (platform === undefined) return true;
  const shown = (each: Platform): string => formatPlatform(normalizePlatform(each));
  return wanted !== undefined && shown(platform) === shown(wanted);
}

/** The same, or undefined when nothing is said. */
function recordOf(
  ...about: Parameters<typeof annotationsFor>
): Readonly<Record<string, string>> | undefined {
  const found = annotationsFor(...about);
  return Object.keys(found).length === 0 ? undefined : found;
}
