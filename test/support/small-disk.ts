import { execFileSync } from "node:child_process";
import { onTestFinished, type TestContext } from "vitest";
import { temporaryFolder } from "./temporary-folder.ts";

/** A folder with room for so many bytes, until the end of the test, which is skipped where nothing may be mounted. */
export async function smallDisk(ctx: TestContext, size: number): Promise<string> {
  const folder = await temporaryFolder();
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${String(size)}`, "tmpfs", folder]);
  } catch {
    ctx.skip("needs to mount a tmpfs");
  }
  onTestFinished(() => {
    execFileSync("umount", ["-l", folder]);
  });
  return folder;
}
