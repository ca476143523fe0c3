import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { pushRootTar } from "./busybox-image.ts";
import { repository } from "./cli.ts";

/**
 * Path of a Debian root filesystem's tar (about 125 MB). Made with mmdebstrap once a machine, which takes about half
 * a minute and Debian's mirrors; afterwards it comes from the cache folder.
 */
export async function debianRootTar(): Promise<string> {
  const script = join(repository, "fixtures/scripts/make-debian-root.sh");
  const { stdout } = await promisify(execFile)(script);
  return stdout.trim();
}

/** Puts the Debian base image into a registry, without tsbuild; returns its name `HOST/debian:12`. */
export async function pushDebian(host: string): Promise<string> {
  const name = `${host}/debian:12`;
  await pushRootTar({ tar: await debianRootTar(), name, config: { Cmd: ["bash"] } });
  return name;
}
