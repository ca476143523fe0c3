import { extname } from "node:path";
import { gzipSync } from "node:zlib";
import { spawnSync } from "node:child_process";

/** Compresses as the name's suffix says; by Debian's programs where Node 20 cannot. */
export function compress(bytes: Buffer, name: string): Buffer {
  switch (extname(name)) {
    case ".gz":
    case ".tgz":
      return gzipSync(bytes);
    case ".bz2":
      return filter("bzip2", bytes);
    case ".xz":
      return filter("xz", bytes);
    case ".zst":
      return filter("zstd", bytes);
    default:
      return bytes;
  }
}

function filter(program: string, input: Buffer): Buffer {
  const { status, stdout, stderr } = spawnSync(program, ["-c"], { input });
  if (status !== 0) throw new Error(`${program} -c: ${String(stderr)}`);
  return stdout;
}
