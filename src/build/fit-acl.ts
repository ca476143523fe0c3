/** POSIX.1e draft 17 ACLs as Linux keeps them: a version, then entries of tag, permissions and ID, all little-endian. */
const accessAcl = "system.posix_acl_access";
const version = 2;
const headerLength = 4;
const entryLength = 8;
const tags = { userObject: 0x01, groupObject: 0x04, mask: 0x10, other: 0x20 } as const;

/**
 * The attributes that a node has after chmod(2) gave it `mode`: the kernel writes a mode into the ACL as well, of which the
 * mode's bits are a part. Whoever sets the ACL as it was takes the mode back.
 */
export function fitAcl(
  xattrs: ReadonlyMap<string, Buffer>,
  mode: number,
): ReadonlyMap<string, Buffer> {
  const acl = xattrs.get(accessAcl);
  if (acl === undefined || !isAcl(acl)) return xattrs;
  const fitted = Buffer.from(acl);
  const entries = range(headerLength, fitted.length, entryLength);
  const hasMask = entries.some((at) => fitted.readUInt16LE(at) === tags.mask);
  for (const at of entries) {
    const shift = shiftOf(fitted.readUInt16LE(at), hasMask);
    if (shift !== undefined) fitted.writeUInt16LE((mode >> shift) & 7, at + 2);
  }
  return new Map(xattrs).set(accessAcl, fitted);
}

function isAcl(bytes: Buffer): boolean {
  const isWhole = bytes.length >= headerLength && (bytes.length - headerLength) % entryLength === 0;
  return isWhole && bytes.readUInt32LE(0) === version;
}

/** Where the mode has the permissions of an entry. A mask stands for all groups and all named users. */
function shiftOf(tag: number, hasMask: boolean): number | undefined {
  switch (tag) {
    case tags.userObject:
      return 6;
    case tags.mask:
      return 3;
    case tags.groupObject:
      return hasMask ? undefined : 3;
    case tags.other:
      return 0;
    default:
      return undefined;
  }
}

function range(start: number, end: number, step: number): number[] {
  return Array.from(
    { length: Math.ceil((end - start) / step) },
    (_, index) => start + index * step,
  );
}
