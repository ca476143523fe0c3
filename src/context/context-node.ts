import { type FileStat, fileTypeOf, splitDevice } from "../core/index.ts";
import type { NodeStat } from "../layer/index.ts";
import type { ByteString } from "./byte-strings.ts";
import { statKeyOf } from "./stat-key.ts";
import type { HostNodeStat, StatKey } from "./types.ts";

/**
 * A node of this host as a context presents it: owned by root, a socket as an empty file. What few ask for is made when they
 * ask.
 */
export class ContextNode implements HostNodeStat {
  readonly type: NodeStat["type"];
  readonly mode: number;
  readonly uid = 0;
  readonly gid = 0;
  readonly size: number;
  readonly mtime: bigint;
  readonly devMajor: number;
  readonly devMinor: number;
  readonly nlink: number;
  readonly #path: ByteString;
  readonly #stat: FileStat;
  #statKey: StatKey | undefined;

  /** `path`: where it is on the host. */
  constructor(path: ByteString, stat: FileStat) {
    const type = fileTypeOf(stat.mode);
    const device = type.endsWith("device") ? splitDevice(stat.rdev) : noDevice;
    this.type = type === "socket" ? "file" : type;
    this.mode = stat.mode & 0o7777;
    this.size = type === "file" ? Number(stat.size) : 0;
    this.mtime = stat.mtimeNs;
    this.devMajor = device.major;
    this.devMinor = device.minor;
    this.nlink = stat.nlink;
    this.#path = path;
    this.#stat = stat;
  }

  get inode(): string {
    return `${String(this.#stat.dev)}:${String(this.#stat.ino)}`;
  }

  get statKey(): StatKey {
    return (this.#statKey ??= statKeyOf(this.#path, this.#stat));
  }
}

const noDevice = { major: 0, minor: 0 };
