import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";

/** What lies at a path of a context: text, bytes, a link, or a file with a mode. */
export type ContextEntry =
  | string
  | Uint8Array
  | { readonly link: string }
  | { readonly mode: number; readonly content: string | Uint8Array };

/** A temporary folder that goes away with the test that asked for it. */
export async function makeFolder(prefix = "context"): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `tsbuild-${prefix}-`));
  onTestFinished(async () => {
    await rm(folder, { recursive: true, force: true });
  });
  return folder;
}

/** A build context from path → entry; returns its folder. Names that end in `/` are empty folders. */
export async function makeContext(
  entries: Readonly<Record<string, ContextEntry>>,
): Promise<string> {
  const folder = await makeFolder();
  await writeEntries(folder, entries);
  return folder;
}

/** Writes or replaces entries below an existing folder. */
export async function writeEntries(
  folder: string,
  entries: Readonly<Record<string, ContextEntry>>,
): Promise<void> {
  for (const [name, entry] of Object.entries(entries)) {
    const path = join(folder, name);
    if (name.endsWith("/")) {
      await mkdir(path, { recursive: true });
      continue;
    }
    await mkdir(dirname(path), { recursive: true });
    if (typeof entry === "string" || entry instanceof Uint8Array) await writeFile(path, entry);
    else if ("link" in entry) await symlink(entry.link, path);
    else {
      await writeFile(path, entry.content);
      await chmod(path, entry.mode);
    }
  }
}
