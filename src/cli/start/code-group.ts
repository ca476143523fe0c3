/** Commands that run often enough to have kept code of their own: reading what others need takes a start 2 ms and more. */
const ownGroups: readonly string[] = ["build", "explain", "push", "run"];

/** All others. */
export const otherCommands: readonly string[] = [
  "builder",
  "cache",
  "context",
  "doctor",
  "graph",
  "history",
  "image",
  "images",
  "imagetools",
  "inspect",
  "load",
  "login",
  "logout",
  "manifest",
  "pull",
  "rmi",
  "save",
  "system",
  "tag",
  "tags",
];

/**
 * Whose kept code a command line most likely needs: that of the first word that is a command's name, and a build's where
 * there is none. An image that is called like a command costs a slower start.
 */
export function findGroup(words: readonly string[]): string {
  const name = words.find((word) => ownGroups.includes(word) || otherCommands.includes(word));
  if (name === undefined) return defaultGroup;
  return ownGroups.includes(name) ? name : "others";
}

/** What it keeps serves the others until they have something of their own. */
export const defaultGroup = "build";
