import { execFile } from "node:child_process";
import { access, chmod, copyFile, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const busybox = "/bin/busybox";

/** Why {@link createBusyboxRoot} cannot work here; undefined when it can. */
export async function whyNoBusybox(): Promise<string | undefined> {
  try {
    await access(busybox);
    return undefined;
  } catch {
    return `${busybox} is missing (Debian package busybox-static)`;
  }
}

/**
 * Lays a small root filesystem into `dir`: bin/busybox with a symlink for every applet, accounts (root, bob = 1000 in
 * groups bob = 1000 and wheel = 10), the usual folders and mount points. No device nodes, no privilege needed.
 */
export async function createBusyboxRoot(dir: string): Promise<void> {
  const folders = ["bin", "dev", "etc", "home", "mnt", "proc", "root", "run", "sys", "tmp", "var"];
  await Promise.all(folders.map((folder) => mkdir(join(dir, folder), { recursive: true })));
  await chmod(join(dir, "tmp"), 0o1777);
  await chmod(join(dir, "root"), 0o700);
  await copyFile(busybox, join(dir, "bin/busybox"));
  await chmod(join(dir, "bin/busybox"), 0o755);
  const { stdout } = await promisify(execFile)(busybox, ["--list"]);
  const applets = stdout.split("\n").filter((applet) => applet !== "" && applet !== "busybox");
  await Promise.all(applets.map((applet) => symlink("busybox", join(dir, "bin", applet))));
  await writeFile(
    join(dir, "etc/passwd"),
    "root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1000:Bob:/home/bob:/bin/sh\n",
  );
  await writeFile(join(dir, "etc/group"), "root:x:0:\nwheel:x:10:bob\nbob:x:1000:\n");
  for (const stub of ["hostname", "hosts", "resolv.conf"])
    await writeFile(join(dir, "etc", stub), "");
}
