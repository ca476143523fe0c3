/** Everything in a tar comes in blocks of this size. @see POSIX.1-2024, pax, "ustar Interchange Format" */
export const blockSize = 512;

/** Where the fields of a header block lie: [offset, length]. */
export const fields = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  linkName: [157, 100],
  magic: [257, 8],
  devMajor: [329, 8],
  devMinor: [337, 8],
  prefix: [345, 155],
} as const;

export type FieldName = keyof typeof fields;

/** Bytes that fill up the last block of `size` bytes of content. */
export function paddingOf(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize;
}

/** PAX keyword under which every implementation that layers meet keeps extended attributes, as raw bytes. */
const xattrKeyword = "SCHILY.xattr.";

/**
 * PAX ends a keyword at its first `=`, which xattr names may hold; GNU tar writes `%3D` for it and `%25` for `%`. Only
 * names that need it, or look as if they had needed it, are changed, since other tools know nothing of this.
 */
export function xattrToKeyword(name: string): string {
  const needed = name.includes("=") || looksEscaped(name);
  return xattrKeyword + (needed ? name.replaceAll("%", "%25").replaceAll("=", "%3D") : name);
}

/** undefined for keywords of other kinds. */
export function keywordToXattr(keyword: string): string | undefined {
  if (!keyword.startsWith(xattrKeyword)) return undefined;
  const name = keyword.slice(xattrKeyword.length);
  return looksEscaped(name) ? name.replaceAll("%3D", "=").replaceAll("%25", "%") : name;
}

function looksEscaped(name: string): boolean {
  return name.includes("%3D") || name.includes("%25");
}
