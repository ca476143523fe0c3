/** Names in a directory: an array of them, or what takes less memory. */
export interface Names {
  readonly length: number;
  at(index: number): Buffer | undefined;
}

/** Numbers that tell one version of a file from others: size, mtime, ctime, inode, device; times in nanoseconds. */
export const versionLength = 5;
/** 64 bits each. */
export const versionSize = 8 * versionLength;

/** What tells a version of a file, wherever the file lies. */
export interface FileVersion {
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly inode: bigint;
  readonly device: bigint;
}

/** Versions of files, one after the other: as numbers, and as bytes of the machine's order. */
export class FileVersions {
  readonly numbers: BigInt64Array;
  readonly bytes: Buffer;

  constructor(count: number) {
    this.numbers = new BigInt64Array(versionLength * count);
    this.bytes = Buffer.from(this.numbers.buffer);
  }

  /** Times for which there is no room become others, and always the same ones. */
  set(index: number, { size, mtimeNs, ctimeNs, inode, device }: FileVersion): void {
    const at = versionLength * index;
    this.numbers[at] = size;
    this.numbers[at + 1] = mtimeNs;
    this.numbers[at + 2] = ctimeNs;
    this.numbers[at + 3] = inode;
    this.numbers[at + 4] = device;
  }

  get(index: number): FileVersion {
    const at = versionLength * index;
    return {
      size: this.numbers[at] ?? 0n,
      mtimeNs: this.numbers[at + 1] ?? 0n,
      ctimeNs: this.numbers[at + 2] ?? 0n,
      inode: BigInt.asUintN(64, this.numbers[at + 3] ?? 0n),
      device: BigInt.asUintN(64, this.numbers[at + 4] ?? 0n),
    };
  }
}

/**
 * Regular files of one directory with one name each and no attributes, as they were seen to be. They lie in rows: of objects
 * for each file, V8 would compile all functions that make and read them, and a copy of 20,000 files is over by then.
 */
export class PlainFiles {
  /** Absolute, with a final slash; no symlink is on the way. */
  readonly directory: Buffer;
  readonly names: Buffer[] = [];
  /** Of all of them. */
  uid = 0;
  gid = 0;
  /** Permission bits, with setuid, setgid and sticky. */
  readonly modes: Uint16Array;
  readonly sizes: Float64Array;
  /** mtime: whole seconds since the epoch, and nanoseconds behind them. */
  readonly seconds: Float64Array;
  readonly nanoseconds: Uint32Array;
  readonly versions: FileVersions;
  /** Of the paths, in the index that `numberedBy` is. */
  readonly numbers: Uint32Array;
  numberedBy: object | undefined;

  /** Without files, but with room for so many. */
  constructor(directory: Buffer, room: number) {
    this.directory = directory;
    this.modes = new Uint16Array(room);
    this.sizes = new Float64Array(room);
    this.seconds = new Float64Array(room);
    this.nanoseconds = new Uint32Array(room);
    this.versions = new FileVersions(room);
    this.numbers = new Uint32Array(room);
  }

  get length(): number {
    return this.names.length;
  }

  /** The path of one of them, one character a byte. */
  pathOf(index: number): string {
    const name = this.names[index] ?? noName;
    return this.directory.toString("latin1") + name.toString("latin1");
  }
}

const noName = Buffer.alloc(0);
const nanosecondsPerSecond = 1_000_000_000n;

/** One such file, at absolute `path`, one character a byte, that looks so and is root's; `mtime` in nanoseconds. */
export function plainFile(
  path: string,
  { mode, mtime }: { readonly mode: number; readonly mtime: bigint },
  version: FileVersion,
): PlainFiles {
  const bytes = Buffer.from(path, "latin1");
  const start = bytes.lastIndexOf("/") + 1;
  const file = new PlainFiles(bytes.subarray(0, start), 1);
  // The part of a second behind the whole ones, also before 1970.
  const behind = ((mtime % nanosecondsPerSecond) + nanosecondsPerSecond) % nanosecondsPerSecond;
  file.names.push(bytes.subarray(start));
  file.modes[0] = mode;
  file.sizes[0] = Number(version.size);
  file.seconds[0] = Number((mtime - behind) / nanosecondsPerSecond);
  file.nanoseconds[0] = Number(behind);
  file.versions.set(0, version);
  return file;
}
