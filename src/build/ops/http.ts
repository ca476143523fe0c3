import { open, stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import {
  digestHex,
  digestMismatch,
  digestOf,
  downloadUrl,
  isDigest,
  type Digest,
  type Download,
} from "../../core/index.ts";
import type { MergedTree, NodeStat, OpenedFile, RootPath } from "../../layer/index.ts";
import type { HttpOp } from "../../plan/index.ts";
import { asObject, readJsonFile, writeJsonFile } from "../../store/index.ts";
import type { BuildEnvironment } from "../environment.ts";
import type { TreeResult } from "../result.ts";
import type { Step } from "../steps.ts";

/** What is remembered of a URL, so that the next build can ask whether it changed instead of reading it again. */
interface UrlRecord {
  readonly digest: Digest;
  readonly size: number;
  readonly etag?: string;
  /** Milliseconds since the epoch. */
  readonly lastModified?: number;
}

/**
 * ADD of a URL: one file with mode 0600, owned by root, as old as the server says or of 1970. Asked for again in every
 * build with a conditional request; with `--checksum` a file that is here needs no request at all.
 *
 * @throws HTTP_FAILED, DIGEST_MISMATCH when the file is not the one that `--checksum` promises
 */
export async function openHttp(
  op: HttpOp,
  request: { readonly environment: BuildEnvironment; readonly name: string },
): Promise<TreeResult> {
  const { environment } = request;
  const path = join(environment.store.root, "cache", "http", digestHex(digestOf(op.url)));
  const known = await knownFile(path, environment);
  const record =
    known !== undefined && known.digest === op.checksum
      ? known
      : await environment.steps.run(request.name, (step) =>
          fetchFile(op, { environment, path, known, step }),
        );
  const file = environment.store.blobs.path(record.digest);
  return { type: "tree", tree: singleFileTree({ name: op.fileName, file, record }) };
}

async function knownFile(
  path: string,
  environment: BuildEnvironment,
): Promise<UrlRecord | undefined> {
  const record = await readJsonFile(path, parseUrlRecord);
  if (record === undefined) return undefined;
  return (await environment.store.blobs.has(record.digest)) ? record : undefined;
}

async function fetchFile(
  op: HttpOp,
  work: {
    readonly environment: BuildEnvironment;
    readonly path: string;
    readonly known: UrlRecord | undefined;
    readonly step: Step;
  },
): Promise<UrlRecord> {
  const { environment, path, known, step } = work;
  const { store, signal } = environment;
  const download = await downloadUrl({
    url: op.url,
    headers: known === undefined ? {} : conditions(known),
    signal,
  });
  if (download.isUnchanged && known !== undefined) {
    download.content.resume();
    return checkKnown(op, known);
  }
  const counted = Readable.from(countBytes(download, { item: op.fileName, step }), {
    objectMode: false,
  });
  const expected = op.checksum === undefined ? undefined : { digest: op.checksum };
  const { digest, size } = await store.blobs.write(counted, expected, signal);
  step.progress({ item: op.fileName, current: size, total: size, unit: "bytes", done: true });
  const record = describe(download, { digest, size });
  await writeJsonFile({ path, tmpDir: store.tmpDir, value: record });
  return record;
}

async function* countBytes(
  download: Download,
  report: { readonly item: string; readonly step: Step },
): AsyncGenerator<Buffer, void, undefined> {
  let current = 0;
  for await (const chunk of download.content as AsyncIterable<Buffer>) {
    current += chunk.length;
    const total = download.size;
    report.step.progress({ item: report.item, current, total, unit: "bytes", done: false });
    yield chunk;
  }
}

/** The server stands by a file that we have: then it must also be the promised one. */
function checkKnown(op: HttpOp, known: UrlRecord): UrlRecord {
  if (op.checksum === undefined || op.checksum === known.digest) return known;
  throw digestMismatch(op.checksum, known.digest, op.url);
}

function conditions(known: UrlRecord): Record<string, string> {
  if (known.etag !== undefined) return { "if-none-match": known.etag };
  if (known.lastModified === undefined) return {};
  return { "if-modified-since": new Date(known.lastModified).toUTCString() };
}

function describe(
  download: Download,
  content: { readonly digest: Digest; readonly size: number },
): UrlRecord {
  const { etag, lastModified } = download;
  return {
    ...content,
    ...(etag === undefined ? {} : { etag }),
    ...(lastModified === undefined ? {} : { lastModified: lastModified.getTime() }),
  };
}

function parseUrlRecord(value: unknown): UrlRecord | undefined {
  const { digest, size, etag, lastModified } = asObject(value) ?? {};
  if (typeof digest !== "string" || !isDigest(digest) || typeof size !== "number") return undefined;
  return {
    digest,
    size,
    ...(typeof etag === "string" ? { etag } : {}),
    ...(typeof lastModified === "number" ? { lastModified } : {}),
  };
}

/** A root that holds nothing but one file of the host. */
function singleFileTree(content: {
  readonly name: string;
  readonly file: string;
  readonly record: UrlRecord;
}): MergedTree {
  const name = Buffer.from(content.name);
  const { size, lastModified = 0 } = content.record;
  const node = { uid: 0, gid: 0, devMajor: 0, devMinor: 0, nlink: 1, inode: "file" };
  const fileStat: NodeStat = {
    ...node,
    type: "file",
    mode: 0o600,
    size,
    mtime: BigInt(lastModified) * 1_000_000n,
  };
  const rootStat: NodeStat = { ...node, type: "directory", mode: 0o755, size: 0, mtime: 0n };
  const statOf = (path: RootPath): NodeStat | undefined => {
    if (path.length === 0) return rootStat;
    return path.equals(name) ? fileStat : undefined;
  };
  return {
    lstat: (path) => Promise.resolve(statOf(path)),
    readdir: () => Promise.resolve([name]),
    readlink: () => Promise.reject(new Error("there is no symlink in a downloaded file")),
    xattrs: () => Promise.resolve(new Map()),
    openFile: async (): Promise<OpenedFile> => {
      const handle = await open(content.file, "r");
      return { fd: handle.fd, size: (await stat(content.file)).size, close: () => handle.close() };
    },
  };
}
