import { isDigest, type Digest } from "./digest.ts";
import { coreError } from "./errors.ts";

/**
 * A parsed image name in its normalised form: defaults such as `docker.io` and `library/` are filled in, except the
 * tag (see `withDefaultTag`). With both a tag and a digest, the digest says what is meant and the tag is for people.
 */
export interface Reference {
  /** Registry host with optional port: `docker.io`, `127.0.0.1:5000`, `[::1]:5000`. */
  readonly domain: string;
  /** Repository inside the registry: `library/app`. */
  readonly path: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

const defaultDomain = "docker.io";
const legacyDefaultDomain = "index.docker.io";
const officialPrefix = "library/";
const maxPathLength = 255;

const label = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const domainPattern = new RegExp(
  `^(?:${label}(?:\\.${label})*|\\[(?:[a-fA-F0-9:]+)\\])(?::[0-9]+)?$`,
);
const component = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const pathPattern = new RegExp(`^${component}(?:/${component})*$`);
const tagPattern = /^[\w][\w.-]{0,127}$/;
const imageIdPattern = /^[0-9a-f]{64}$/;

/**
 * Parses an image name as people write it: `app`, `app:1.0`, `host:5000/team/app@sha256:…`.
 *
 * The part before the first slash is a host when it is `localhost`, holds a dot or a colon, or has an upper-case
 * letter; everything else belongs to Docker Hub.
 * @throws REFERENCE_INVALID
 */
export function parseReference(text: string): Reference {
  if (text === "") throw invalid(text, "give a name such as app:1.0");
  if (imageIdPattern.test(text)) {
    throw invalid(text, "64 hexadecimal digits are an image ID, which is not a name");
  }
  const { name, tag, digest } = splitSuffixes(text);
  const { domain, path } = splitDomain(name);
  checkDomain(text, domain);
  checkPath(text, { name, path });
  return {
    domain,
    path,
    ...(tag === undefined ? {} : { tag: checkTag(text, tag) }),
    ...(digest === undefined ? {} : { digest: checkDigest(text, digest) }),
  };
}

/** The whole name with every default written out, for example `docker.io/library/app:1.0`. */
export function formatReference(reference: Reference): string {
  return `${reference.domain}/${reference.path}${formatSuffixes(reference)}`;
}

/** The repository alone, without tag and digest: `docker.io/library/app`. */
export function formatRepository(reference: Reference): string {
  return `${reference.domain}/${reference.path}`;
}

/** The shortest name that parses to the same reference, as people write it: `app:1.0`. */
export function familiarReference(reference: Reference): string {
  return familiarName(reference) + formatSuffixes(reference);
}

/** Adds the tag `latest` to a reference that has neither tag nor digest. */
export function withDefaultTag(reference: Reference): Reference {
  if (reference.tag !== undefined || reference.digest !== undefined) return reference;
  return { ...reference, tag: "latest" };
}

function formatSuffixes({ tag, digest }: Reference): string {
  return (tag === undefined ? "" : `:${tag}`) + (digest === undefined ? "" : `@${digest}`);
}

function familiarName({ domain, path }: Reference): string {
  const full = `${domain}/${path}`;
  if (domain !== defaultDomain) return full;
  const candidates = [
    path.startsWith(officialPrefix) ? path.slice(officialPrefix.length) : path,
    path,
  ];
  // A short form may read as something else: `docker.io/localhost/app` without its domain names another host.
  const faithful = candidates.find((name) => {
    const again = splitDomain(name);
    return again.domain === domain && again.path === path && !imageIdPattern.test(name);
  });
  return faithful ?? full;
}

function splitSuffixes(text: string): {
  readonly name: string;
  readonly tag: string | undefined;
  readonly digest: string | undefined;
} {
  const at = text.indexOf("@");
  const digest = at < 0 ? undefined : text.slice(at + 1);
  const rest = at < 0 ? text : text.slice(0, at);
  const colon = rest.indexOf(":", rest.lastIndexOf("/") + 1);
  if (colon < 0) return { name: rest, tag: undefined, digest };
  return { name: rest.slice(0, colon), tag: rest.slice(colon + 1), digest };
}

function splitDomain(name: string): { readonly domain: string; readonly path: string } {
  const slash = name.indexOf("/");
  const first = name.slice(0, Math.max(slash, 0));
  if (!isDomainLike(first)) return onDefaultDomain(name);
  const path = name.slice(slash + 1);
  return first === defaultDomain || first === legacyDefaultDomain
    ? onDefaultDomain(path)
    : { domain: first, path };
}

function onDefaultDomain(path: string): { readonly domain: string; readonly path: string } {
  return { domain: defaultDomain, path: path.includes("/") ? path : officialPrefix + path };
}

function isDomainLike(text: string): boolean {
  return text === "localhost" || /[.:]/.test(text) || text.toLowerCase() !== text;
}

function checkDomain(text: string, domain: string): void {
  if (domainPattern.test(domain)) return;
  if (/^https?:\/\//.test(text)) throw invalid(text, "leave the http:// or https:// out");
  throw invalid(text, `${JSON.stringify(domain)} is not a registry host such as localhost:5000`);
}

/** `name` is what was written of it, `path` what that means inside the registry. */
function checkPath(
  text: string,
  { name, path }: { readonly name: string; readonly path: string },
): void {
  if (path.length > maxPathLength) {
    throw invalid(text, `a repository name has at most ${String(maxPathLength)} characters`);
  }
  if (pathPattern.test(path)) return;
  if (pathPattern.test(path.toLowerCase())) {
    const shown = (name.includes("/") ? path : name).toLowerCase();
    throw invalid(text, `a repository name must be lower case: ${JSON.stringify(shown)}`);
  }
  throw invalid(
    text,
    "a repository name is lower-case letters and digits, joined by '.', '_', '__', '-' or '/'",
  );
}

function checkTag(text: string, tag: string): string {
  if (tagPattern.test(tag)) return tag;
  throw invalid(
    text,
    "a tag is 1 to 128 letters, digits, '_', '.' or '-', and begins with none of the last two",
  );
}

function checkDigest(text: string, digest: string): Digest {
  if (isDigest(digest)) return digest;
  throw invalid(text, "a digest is sha256: followed by 64 lower-case hexadecimal digits");
}

function invalid(text: string, hint: string): Error {
  const shown = text.length > 300 ? `${text.slice(0, 300)}…` : text;
  return coreError("REFERENCE_INVALID", `parse image name ${JSON.stringify(shown)}`, {
    hint,
    details: { reference: shown },
  });
}
