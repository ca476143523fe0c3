import { hideCredentials, parseGitRemote, type GitReference } from "../../core/index.ts";
import { contextError } from "../errors.ts";
import type { Repository } from "./repository.ts";
import { runGit } from "./run-git.ts";

/** Where a submodule comes from. */
export type SubmoduleRemote = Pick<GitReference, "remote" | "credentials">;

/**
 * Paths and URLs that `.gitmodules` of a commit names; nothing when it has none. Only URLs that git reaches over the
 * network are taken, when they are asked for: a repository must not make us read this host's files or run its commands.
 */
export async function readSubmodules(
  repository: Repository,
  hash: string,
): Promise<ReadonlyMap<string, string>> {
  const listing = await runGit(repository.localCall(["ls-tree", "-z", hash, "--", ".gitmodules"]));
  // A symlink of this name could lead anywhere.
  if (!/^100(?:644|755) blob /.test(listing.toString("latin1"))) return new Map();
  const pattern = "^submodule\\..*\\.(path|url)$";
  const words = ["config", "-z", `--blob=${hash}:.gitmodules`, "--get-regexp", pattern];
  const settings = (await runGit(repository.localCall(words))).toString("utf8").split("\0");
  const byName = new Map<string, { path?: string; url?: string }>();
  for (const setting of settings) {
    const match = /^submodule\.([^]*)\.(path|url)\n([^]*)$/.exec(setting);
    if (match === null) continue;
    const [, name = "", key, value = ""] = match;
    byName.set(name, { ...byName.get(name), [key === "path" ? "path" : "url"]: value });
  }
  const found = [...byName.values()].flatMap(({ path, url }): [string, string][] =>
    path === undefined || url === undefined ? [] : [[path.replace(/\/+$/, ""), url]],
  );
  return new Map(found);
}

/**
 * The remote of a submodule. A URL that begins with `./` or `../` goes on from that of the repository it is in, with the
 * same credentials.
 * @throws CONTEXT_GIT_FAILED for any other than http, https, ssh and git URLs
 */
export function submoduleRemote(
  url: string,
  parent: SubmoduleRemote,
  path: string,
): SubmoduleRemote {
  if (/^\.\.?\//.test(url)) return { ...parent, remote: relativeUrl(url, parent.remote) };
  const remote = parseGitRemote(url);
  if (remote !== undefined) return remote;
  throw contextError(
    "CONTEXT_GIT_FAILED",
    `fetch submodule ${path} of ${parent.remote}: its URL ${hideCredentials(url)} is not allowed`,
    {
      hint: "only http, https, ssh and git URLs are; `?submodules=false` leaves submodules out",
      details: { path },
    },
  );
}

/** As git itself resolves it: each `../` takes a component off the parent's URL. */
function relativeUrl(url: string, parent: string): string {
  let base = parent.replace(/\/+$/, "");
  let rest = url;
  for (;;) {
    if (rest.startsWith("./")) rest = rest.slice(2);
    else if (rest.startsWith("../")) {
      rest = rest.slice(3);
      // Never beyond the host.
      base = base.replace(/(?<=[^/:])[/:][^/:]*$/, "");
    } else return `${base}/${rest}`;
  }
}
