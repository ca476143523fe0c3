import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

/**
 * Where the state lies when nobody says: `$TSBUILD_ROOT`; `/var/lib/tsbuild` for root; else `tsbuild` in
 * `$XDG_DATA_HOME` or `~/.local/share`. Absolute, except that `$TSBUILD_ROOT` is taken as it is.
 * @see XDG Base Directory Specification: a relative `$XDG_DATA_HOME` is ignored
 */
export function defaultRoot(
  env: Readonly<Record<string, string | undefined>> = process.env,
  uid: number | undefined = process.getuid?.(),
): string {
  const { TSBUILD_ROOT: root, XDG_DATA_HOME: share, HOME: home } = env;
  if (root !== undefined && root !== "") return root;
  if (uid === 0) return "/var/lib/tsbuild";
  if (share !== undefined && isAbsolute(share)) return join(share, "tsbuild");
  return join(home !== undefined && isAbsolute(home) ? home : homedir(), ".local/share/tsbuild");
}
