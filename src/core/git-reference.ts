import { posix } from "node:path";
import { coreError } from "./errors.ts";

/** A git repository, and what is wanted of it, as a build names it. */
export interface GitReference {
  /** What git is asked for: an http, https, git or ssh URL, or `user@host:path`. Holds no password: it may be shown. */
  readonly remote: string;
  /** `user:password` of an http or https URL, percent signs decoded. Never shown, kept in no key. */
  readonly credentials?: string;
  /** Branch, tag, `refs/…` or a whole commit hash; the remote's default branch unless given. */
  readonly ref?: string;
  /** Folder inside the repository, without slashes at its ends. */
  readonly subdir?: string;
  /** Beginning of the hash that the commit must have; any text here, checked when it is used. */
  readonly checksum?: string;
  readonly keepGitDir?: boolean;
  readonly submodules?: boolean;
  /** Times of the files: that of the commit, or the same for all of them whenever they are fetched. */
  readonly mtime?: "checkout" | "commit";
  /** Take `checksum` (or `ref`) for the commit without asking which one the ref stands for. */
  readonly fetchByCommit?: boolean;
}

/**
 * Reads `https://host/repository.git#ref:folder`, the same with a query (`?branch=…&subdir=…`), `git://`, `ssh://` and
 * `user@host:path`. undefined for what is no git repository: another URL, or a path. `bareGithub` also takes
 * `github.com/owner/repository`, which elsewhere is a path.
 * @throws GIT_REFERENCE_INVALID for a query that contradicts the fragment or itself, or says something unknown
 */
export function parseGitReference(
  text: string,
  options: { readonly bareGithub?: boolean } = {},
): GitReference | undefined {
  if (text.startsWith("./") || text.startsWith("../")) return undefined;
  const isBare = options.bareGithub === true && text.startsWith("github.com/");
  const parts = isBare ? splitUrl(`https://${text}`) : (splitUrl(text) ?? splitScp(text));
  if (parts === undefined) return undefined;
  const isHttp = /^https?:/.test(parts.remote);
  if (isHttp && !isBare && !parts.path.endsWith(".git")) return undefined;
  const { remote, credentials } = parts;
  const base = { remote, ...(credentials === undefined ? {} : { credentials }) };
  return { ...base, ...readQuery(parts.query, { text, ...readFragment(parts.fragment) }) };
}

/**
 * The URL of a submodule: any that git reaches over the network, with or without `.git`. undefined for paths and for
 * transports that run programs or read this host's files.
 */
export function parseGitRemote(
  text: string,
): Pick<GitReference, "remote" | "credentials"> | undefined {
  const parts = splitUrl(text) ?? splitScp(text);
  if (parts === undefined) return undefined;
  const { remote, credentials } = parts;
  return { remote, ...(credentials === undefined ? {} : { credentials }) };
}

/** A text with the user names and passwords of its URLs masked. */
export function hideCredentials(text: string): string {
  return hasUrl(text) ? text.replace(userInfo, "$1://xxxxx@") : text;
}

/** Asked first: to make one of the regular expressions takes 0.1 ms, and most texts have no URL. */
function hasUrl(text: string): boolean {
  return text.includes("://");
}

const userInfo = /\b(https?|ssh|git):\/\/[^\s/?#"'@]*(?:@[^\s/?#"'@]*)*@/gi;

/** The same, but in as many characters, so that columns stay what they were. */
export function blotCredentials(text: string): string {
  if (!hasUrl(text)) return text;
  return text.replace(userInfo, (whole, scheme: string) =>
    `${scheme}://`.padEnd(whole.length - 1, "x").concat("@"),
  );
}

/**
 * The same with other texts that are secret, of several that begin at one place the longest. They may be the lines of a
 * thousand keys: the text is gone through once for all of them.
 */
export function blotTexts(text: string, secrets: readonly string[]): string {
  const rest = blotCredentials(text);
  const known = new Set(secrets.filter((secret) => secret !== ""));
  const start = [...known].reduce((least, { length }) => Math.min(least, length), 4);
  const lengths = new Map<string, Set<number>>();
  for (const secret of [...known].sort((a, b) => b.length - a.length)) {
    const head = secret.slice(0, start);
    lengths.set(head, (lengths.get(head) ?? new Set()).add(secret.length));
  }
  let [clean, from] = ["", 0];
  for (let at = 0; lengths.size > 0 && at < rest.length; at += 1) {
    const candidates = lengths.get(rest.slice(at, at + start)) ?? [];
    const found = [...candidates].find((length) => known.has(rest.slice(at, at + length)));
    if (found === undefined) continue;
    clean += rest.slice(from, at) + "x".repeat(found);
    from = at + found;
    at = from - 1;
  }
  return clean + rest.slice(from);
}

/** Whether a text is a whole commit hash (SHA-1 or SHA-256). */
export function isCommitHash(text: string): boolean {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/i.test(text);
}

interface Parts {
  readonly remote: string;
  readonly credentials?: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly fragment: string;
}

function splitUrl(text: string): Parts | undefined {
  if (!hasUrl(text) || !/^(?:https?|git|ssh):\/\//i.test(text) || !URL.canParse(text))
    return undefined;
  const url = new URL(text);
  const [query, fragment] = [url.searchParams, decode(url.hash.slice(1))];
  const credentials =
    url.protocol.startsWith("http") && url.username + url.password !== ""
      ? `${decode(url.username)}:${decode(url.password)}`
      : undefined;
  // An ssh user says whom to log in as; a password has no place on a command line.
  const user = url.protocol === "ssh:" && url.username !== "" ? `${url.username}@` : "";
  return {
    remote: `${url.protocol}//${user}${url.host}${url.pathname}`,
    ...(credentials === undefined ? {} : { credentials }),
    path: url.pathname,
    query,
    fragment,
  };
}

/** `user@host:path?query#fragment`, which git takes for ssh. */
function splitScp(text: string): Parts | undefined {
  if (!text.includes("@")) return undefined;
  const match = /^([\w-]+)@([\w.-]+):(.*?)(?:\?(.*?))?(?:#(.*))?$/.exec(text);
  if (match === null) return undefined;
  const [, user = "", host = "", path = "", query = "", fragment = ""] = match;
  // Either would be taken for an option further down.
  if (host.startsWith("-") || user.startsWith("-")) return undefined;
  const remote = `${user}@${host}:${path}`;
  return { remote, path, query: new URLSearchParams(query), fragment };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A lone percent sign stands for itself.
    return text;
  }
}

type Wanted = Pick<GitReference, "ref" | "subdir">;

function readFragment(fragment: string): Wanted {
  const colon = fragment.indexOf(":");
  const ref = colon < 0 ? fragment : fragment.slice(0, colon);
  const subdir = colon < 0 ? "" : cleanFolder(fragment.slice(colon + 1));
  return { ...(ref === "" ? {} : { ref }), ...(subdir === "" ? {} : { subdir }) };
}

function cleanFolder(path: string): string {
  return posix.join("/", path).replace(/^\/+|\/+$/g, "");
}

const switches = ["keep-git-dir", "submodules", "fetch-by-commit"];
const known = ["ref", "tag", "branch", "subdir", "checksum", "commit", "mtime", ...switches];

function readQuery(
  query: URLSearchParams,
  given: Wanted & { readonly text: string },
): Omit<GitReference, "remote" | "credentials"> {
  const { text, ...wanted } = given;
  const say = (reason: string): Error => invalid(text, reason);
  for (const key of new Set(query.keys())) {
    if (!known.includes(key)) throw say(`unexpected query "${key}"`);
    if (query.getAll(key).length > 1) throw say(`query "${key}" has multiple values`);
    if (query.get(key) === "" && !switches.includes(key)) throw say(`query "${key}" has no value`);
  }
  const ref = readRef(query, { ref: wanted.ref, say });
  const subdir = query.get("subdir") ?? undefined;
  if (subdir !== undefined && wanted.subdir !== undefined && subdir !== wanted.subdir)
    throw say(`subdir conflicts: "${wanted.subdir}" vs "${subdir}"`);
  const folder = subdir === undefined ? wanted.subdir : cleanFolder(subdir);
  const checksum = query.get("checksum") ?? query.get("commit") ?? undefined;
  const mtime = query.get("mtime") ?? undefined;
  if (mtime !== undefined && mtime !== "checkout" && mtime !== "commit")
    throw say(`invalid mtime value: "${mtime}" (must be "checkout" or "commit")`);
  const keepGitDir = readSwitch(query, "keep-git-dir", say);
  const submodules = readSwitch(query, "submodules", say);
  const fetchByCommit = readSwitch(query, "fetch-by-commit", say);
  return {
    ...(ref === undefined ? {} : { ref }),
    ...(folder === undefined || folder === "" ? {} : { subdir: folder }),
    ...(checksum === undefined ? {} : { checksum }),
    ...(keepGitDir === undefined ? {} : { keepGitDir }),
    ...(submodules === undefined ? {} : { submodules }),
    ...(mtime === undefined ? {} : { mtime }),
    ...(fetchByCommit === undefined ? {} : { fetchByCommit }),
  };
}

/** `ref`, `tag` and `branch` all say the same thing, so they must not contradict each other. */
function readRef(
  query: URLSearchParams,
  given: { readonly ref: string | undefined; readonly say: (reason: string) => Error },
): string | undefined {
  if (query.has("tag") && query.has("branch")) throw given.say("branch conflicts with tag");
  let ref = given.ref;
  for (const [key, prefix] of [
    ["ref", ""],
    ["tag", "refs/tags/"],
    ["branch", "refs/heads/"],
  ] as const) {
    const value = query.get(key);
    if (value === null) continue;
    const full = value.startsWith(prefix) ? value : prefix + value;
    if (ref !== undefined && ref !== full) throw given.say(`ref conflicts: "${ref}" vs "${full}"`);
    ref = full;
  }
  return ref;
}

/** A switch without a value is on. */
function readSwitch(
  query: URLSearchParams,
  key: string,
  say: (reason: string) => Error,
): boolean | undefined {
  const value = query.get(key);
  if (value === null) return undefined;
  if (["", "1", "t", "T", "true", "True", "TRUE"].includes(value)) return true;
  if (["0", "f", "F", "false", "False", "FALSE"].includes(value)) return false;
  throw say(`invalid ${key} value: "${value}"`);
}

function invalid(text: string, reason: string): Error {
  return coreError(
    "GIT_REFERENCE_INVALID",
    `read git repository ${hideCredentials(text)}: ${reason}`,
    { hint: "write it as URL#ref:folder, or as URL?branch=…&subdir=…, and say each thing once" },
  );
}
