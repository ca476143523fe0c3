import {
  chmodSync,
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";

const noAccessTime = 0o1000000;
const secretText = "canary: nobody may read this";

/** A directory outside of every target. `expectUntouched` fails when anything in it was read, changed or added to. */
export interface Canary {
  readonly directory: string;
  /** Content of its file `secret`. */
  readonly secret: string;
  expectUntouched(): void;
}

/** `directory` must not be there yet. */
export function makeCanary(directory: string): Canary {
  mkdirSync(join(directory, "inner"), { recursive: true });
  const files = ["secret", "inner/deep"].map((name) => join(directory, name));
  for (const path of files) {
    writeFileSync(path, secretText);
    chmodSync(path, 0o600);
    // Read earlier than written: so the kernel notes the next reading, mounted with relatime or not.
    utimesSync(path, 1_000_000_000, 1_100_000_000);
  }
  symlinkSync("secret", join(directory, "link"));
  const nodes = [directory, join(directory, "inner"), join(directory, "link"), ...files];
  const before = nodes.map(looksOf);
  return {
    directory,
    secret: secretText,
    expectUntouched: () => {
      expect(nodes.map(looksOf)).toEqual(before);
      for (const path of files) expect(readQuietly(path)).toBe(secretText);
    },
  };
}

/** Everything but what looking itself changes; a name more or less shows in the times and links of its directory. */
function looksOf(path: string): string {
  const stat = lstatSync(path, { bigint: true });
  const { mode, uid, gid, nlink, size, ino, mtimeNs, ctimeNs } = stat;
  const accessed = stat.isFile() ? stat.atimeNs : 0n;
  return [path, mode, uid, gid, nlink, size, ino, mtimeNs, ctimeNs, accessed].join(" ");
}

function readQuietly(path: string): string {
  const fd = openSync(path, constants.O_RDONLY | noAccessTime);
  try {
    return readFileSync(fd, "utf8");
  } finally {
    closeSync(fd);
  }
}
