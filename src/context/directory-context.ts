import { realpathSync } from "node:fs";
import { join, relative } from "node:path";
import { errnoOf, readSmallFile, whyUnreadable } from "../core/index.ts";
import type { OpenedFile, RootPath } from "../layer/index.ts";
import { type ByteString, byteString, textOf } from "./byte-strings.ts";
import { changed, shown, unreadable } from "./context-problems.ts";
import { isDirectory, lstatNode } from "./host-files.ts";
import { contextError } from "./errors.ts";
import { IgnoreRules } from "./ignore/ignore-rules.ts";
import { parseIgnoreFile } from "./ignore/parse-ignore-file.ts";
import { LocalDirectory } from "./local-directory.ts";
import { PathIndex } from "./path-index.ts";
import type { BuildContext, HostNodeStat, IgnoreRule, StatCache, StatKey } from "./types.ts";

export interface DirectoryContextOptions {
  /** Root of the context; may itself be a symlink. */
  readonly directory: string;
  /** Path of the Dockerfile; `<dockerfile>.dockerignore` beside it replaces the context's own .dockerignore. */
  readonly dockerfile?: string | undefined;
  /** How messages name the context; `directory` unless given. */
  readonly label?: string | undefined;
  /** What `checksumSelection` uses for this context when it is given none. */
  readonly statCache?: StatCache | undefined;
}

/**
 * A directory of this host as a build context. Files are looked at when asked for, nothing is copied. Symlinks inside
 * are nodes like others and never followed, so nothing outside of the directory can be reached.
 * @throws CONTEXT_UNREADABLE, CONTEXT_IGNORE_INVALID
 */
export async function openDirectoryContext(
  options: DirectoryContextOptions,
): Promise<BuildContext> {
  const label = options.label ?? options.directory;
  const root = realDirectory(options.directory, label);
  const rules = await readIgnoreRules(options);
  return new DirectoryContext({ root, label, rules, statCache: options.statCache });
}

function realDirectory(directory: string, label: string): ByteString {
  try {
    const root = byteString(realpathSync(directory, "buffer"));
    if (isDirectory(lstatNode(root))) return root === "/" ? "" : root;
  } catch (error) {
    throw unreadable(label, error);
  }
  throw unreadable(label, undefined);
}

/**
 * The Dockerfile's own ignore file first, else the context's; never both.
 * @throws CONTEXT_IGNORE_INVALID, CONTEXT_UNREADABLE
 */
export async function readIgnoreRules(
  options: Pick<DirectoryContextOptions, "directory" | "dockerfile">,
): Promise<IgnoreRules> {
  const { directory, dockerfile } = options;
  const candidates = [join(directory, ".dockerignore")];
  if (dockerfile !== undefined) candidates.unshift(`${dockerfile}.dockerignore`);
  for (const path of candidates) {
    const content = readIfThere(path);
    if (content === undefined) continue;
    const shown = relative(directory, path);
    return parseIgnoreFile(content, shown.startsWith("..") ? path : shown);
  }
  return new IgnoreRules([]);
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readSmallFile(path, { limit: maxIgnoreFile });
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw contextError("CONTEXT_UNREADABLE", `read ${path}: ${whyUnreadable(error)}`, {
      hint: "an ignore file is a plain file of up to 4 MiB; mend it or remove it",
      details: { path },
      cause: error,
    });
  }
}

/** Bytes. */
const maxIgnoreFile = 4 * 1024 * 1024;

const noName = Buffer.alloc(0);

/** Everything is known at once; promises are for callers who do not know that. */
class DirectoryContext implements BuildContext {
  readonly label: string;
  readonly statCache: StatCache | undefined;
  readonly local: LocalDirectory;
  readonly #rules: IgnoreRules;

  constructor(parts: {
    readonly root: ByteString;
    readonly label: string;
    readonly rules: IgnoreRules;
    readonly statCache: StatCache | undefined;
  }) {
    this.label = parts.label;
    this.statCache = parts.statCache;
    this.local = new LocalDirectory({
      ...parts,
      paths: parts.statCache?.rows.paths ?? new PathIndex(),
    });
    this.#rules = parts.rules;
  }

  async lstat(path: RootPath): Promise<HostNodeStat | undefined> {
    return this.local.lstat(path);
  }

  async readdir(path: RootPath): Promise<readonly Buffer[]> {
    const names = this.local.readdir(path);
    const { length } = names;
    return Array.from({ length }, (_, index) => names.at(index) ?? noName);
  }

  async readlink(path: RootPath): Promise<Buffer> {
    return this.local.readlink(path);
  }

  async openFile(path: RootPath): Promise<OpenedFile> {
    await this.local.prepare();
    const stat = this.local.lstat(path);
    if (stat === undefined) throw unreadable(shown(byteString(path)), undefined, "ENOENT");
    if (stat.type !== "file") throw changed(byteString(path));
    const file = this.local.open(path, stat);
    try {
      file.verify();
    } catch (error) {
      file.close();
      throw error;
    }
    const { fd, size, verify } = file;
    return {
      fd,
      size,
      verify,
      close: async () => {
        file.close();
      },
    };
  }

  async xattrs(path: RootPath): Promise<ReadonlyMap<string, Buffer>> {
    await this.local.prepare();
    return this.local.xattrs(path);
  }

  ignoredBy(path: RootPath): IgnoreRule | undefined {
    return this.#rules.match(textOf(byteString(path)));
  }

  hidden(path: RootPath): readonly Buffer[] {
    return this.local.hidden(path);
  }

  pin(version: StatKey): void {
    this.local.pin(version);
  }
}
