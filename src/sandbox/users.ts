import type { MergedTree } from "../layer/index.ts";
import { parseId, readGroup, readPasswd, type PasswdEntry } from "./account-files.ts";
import { sandboxError } from "./errors.ts";
import type { ResolvedUser } from "./types.ts";

/** The largest id that Docker and the runtimes accept. */
const maxId = 2 ** 31 - 1;

/** Numeric owner of a file. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * The numbers behind a USER or `-u` value (`name`, `uid`, `user:group`; empty for root), looked up in /etc/passwd and
 * /etc/group of the root filesystem `tree`.
 *
 * Without a group: gid of the passwd entry (0 for a number that passwd does not know) and every group that lists the
 * user. With a group: that group alone. Digits are an id, never a name; the first passwd line that matches wins.
 *
 * @throws SANDBOX_USER_UNKNOWN when a name is not there
 * @throws SANDBOX_USER_INVALID when an id is not within 0 to 2147483647
 * @throws SANDBOX_ACCOUNTS_UNREADABLE
 */
export async function resolveUser(options: {
  readonly tree: MergedTree;
  readonly user: string;
}): Promise<ResolvedUser> {
  const { tree, user } = options;
  const { name, group } = splitUser(user);
  const wanted = name === "" ? "0" : name;
  const entry = findPasswdEntry(await readPasswd(tree), wanted);
  const uid = entry?.uid ?? parseId(wanted) ?? unknown("user", wanted);
  const home = entry === undefined || entry.home === "" ? "/" : entry.home;

  if (group !== undefined && group !== "") {
    const gid = parseId(group) ?? (await gidOfGroup(tree, group)) ?? unknown("group", group);
    return checkRange(user, { uid, gid, groups: [gid], home });
  }
  const gid = entry?.gid ?? 0;
  const supplementary = entry === undefined ? [] : await supplementaryGroups(tree, entry.name);
  return checkRange(user, { uid, gid, groups: [...new Set([gid, ...supplementary])], home });
}

/**
 * The owner that COPY `--chown`, ADD `--chown` or WORKDIR (for its USER) give to files. Looser than
 * {@link resolveUser}, as Docker is: names that are unknown or cannot be looked up for want of an account file mean 0.
 *
 * A number without a group is also the gid, unless `numericGidFollowsUid` is false (then the gid is 0); a name without
 * a group brings the gid of its passwd entry, and so does either with a group that is unknown; an empty group
 * (`user:`) is 0; `root` is 0 whatever passwd says.
 *
 * @throws SANDBOX_USER_INVALID when an id is not within 0 to 2147483647
 * @throws SANDBOX_ACCOUNTS_UNREADABLE
 */
export async function resolveOwner(options: {
  readonly tree: MergedTree;
  readonly owner: string;
  readonly numericGidFollowsUid?: boolean;
}): Promise<Owner> {
  const { tree, owner, numericGidFollowsUid = true } = options;
  const { name, group } = splitUser(owner);
  const user = await ownerOfUser(tree, name, numericGidFollowsUid);
  const gid = group === undefined ? undefined : await ownerOfGroup(tree, group);
  return checkRange(owner, { uid: user.uid, gid: gid ?? user.gid });
}

async function ownerOfUser(tree: MergedTree, name: string, gidFollows: boolean): Promise<Owner> {
  if (name === "" || name === "root") return { uid: 0, gid: 0 };
  const id = parseId(name);
  if (id !== undefined) return { uid: id, gid: gidFollows ? id : 0 };
  return findPasswdEntry(await readPasswd(tree), name) ?? { uid: 0, gid: 0 };
}

async function ownerOfGroup(tree: MergedTree, group: string): Promise<number | undefined> {
  if (group === "" || group === "root") return 0;
  return parseId(group) ?? (await gidOfGroup(tree, group));
}

async function supplementaryGroups(tree: MergedTree, name: string): Promise<readonly number[]> {
  const groups = await readGroup(tree);
  return groups.filter(({ members }) => members.includes(name)).map(({ gid }) => gid);
}

function splitUser(text: string): { readonly name: string; readonly group: string | undefined } {
  const colon = text.indexOf(":");
  if (colon < 0) return { name: text, group: undefined };
  return { name: text.slice(0, colon), group: text.slice(colon + 1) };
}

function findPasswdEntry(entries: readonly PasswdEntry[], wanted: string): PasswdEntry | undefined {
  const id = parseId(wanted);
  return entries.find(({ name, uid }) => (id === undefined ? name === wanted : uid === id));
}

async function gidOfGroup(tree: MergedTree, wanted: string): Promise<number | undefined> {
  return (await readGroup(tree)).find(({ name }) => name === wanted)?.gid;
}

function unknown(kind: "user" | "group", text: string): never {
  throw sandboxError("SANDBOX_USER_UNKNOWN", `unable to find ${kind} ${text}`, {
    hint: `add the ${kind} in the image before it is used, or give it as a number`,
    details: { [kind]: text },
  });
}

function checkRange<Ids extends Owner & { readonly groups?: readonly number[] }>(
  text: string,
  ids: Ids,
): Ids {
  for (const id of [ids.uid, ids.gid, ...(ids.groups ?? [])]) {
    if (id >= 0 && id <= maxId) continue;
    throw sandboxError(
      "SANDBOX_USER_INVALID",
      `user ${text} needs id ${id}, which is out of range`,
      {
        hint: `ids go from 0 to ${maxId}`,
        details: { user: text, id },
      },
    );
  }
  return ids;
}
