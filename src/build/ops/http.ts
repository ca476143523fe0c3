import { Readable } from "node:stream";
import { finished } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import {
  bareHost,
  coreError,
  digestMismatch,
  digestOfJson,
  displayUrl,
  downloadUrl,
  isTsbuildError,
  openHttpClient,
  type Download,
  type HttpClient,
} from "../../core/index.ts";
import type { HttpOp } from "../../plan/index.ts";
import type { BuildEnvironment } from "../environment.ts";
import type { TreeResult } from "../result.ts";
import { singleFileTree } from "../single-file-tree.ts";
import type { Step } from "../steps.ts";
import { readUrlVersions, writeUrlVersion, type UrlVersion } from "../url-records.ts";

/**
 * ADD of a URL: one file with mode 0600, owned by root, as old as the server says or of 1970. Asked for in every build:
 * a HEAD tells whether a known version still is the file there; otherwise a GET with the same question brings it. With
 * `--checksum` a file that is here needs no request at all.
 *
 * @throws HTTP_FAILED, HTTP_TIMEOUT, DIGEST_MISMATCH when the file is not the one that `--checksum` promises
 */
export async function openHttp(
  op: HttpOp,
  request: { readonly environment: BuildEnvironment; readonly name: string },
): Promise<TreeResult> {
  const { environment } = request;
  const { promised, versions } = await knownVersions(op, environment);
  const version =
    promised ??
    (await environment.steps.run({ name: request.name, phase: "pull" }, (step) =>
      fetchVersion({ op, environment, versions, step }),
    ));
  return toTree(op, { version, environment });
}

/**
 * What `openHttp` would give, for whoever downloads nothing: asks the server whether a version that is here still is the
 * file there. undefined where only a download could tell.
 * @throws HTTP_FAILED, HTTP_TIMEOUT
 */
export async function peekHttp(
  op: HttpOp,
  environment: BuildEnvironment,
): Promise<TreeResult | undefined> {
  const { promised, versions } = await knownVersions(op, environment);
  if (promised !== undefined) return toTree(op, { version: promised, environment });
  if (versions.length === 0) return undefined;
  const version = await withClient({ op, environment, versions }, askForVersion);
  return version && toTree(op, { version, environment });
}

/** The file that a checksum promises, or else those that may still be the one there. */
async function knownVersions(
  op: HttpOp,
  { store }: BuildEnvironment,
): Promise<{
  readonly promised: UrlVersion | undefined;
  readonly versions: readonly UrlVersion[];
}> {
  const known = await readUrlVersions(store, op.url);
  // None of them is what a checksum promises: a server that took one for unchanged would only be wrong.
  const versions = op.checksum === undefined ? known : [];
  return { promised: known.find(({ digest }) => digest === op.checksum), versions };
}

function toTree(
  op: HttpOp,
  {
    version,
    environment,
  }: { readonly version: UrlVersion; readonly environment: BuildEnvironment },
): TreeResult {
  const { digest, size, lastModified = 0 } = version;
  const looks = { mode: 0o600, lastModified };
  const tree = singleFileTree({
    name: op.fileName,
    path: environment.store.blobs.path(digest),
    size,
    mode: looks.mode,
    mtime: BigInt(lastModified) * 1_000_000n,
  });
  return { type: "tree", tree, digest: digestOfJson({ name: op.fileName, digest, ...looks }) };
}

interface Asking {
  readonly op: HttpOp;
  readonly environment: BuildEnvironment;
  readonly versions: readonly UrlVersion[];
}

interface Requesting extends Asking {
  readonly client: HttpClient;
  readonly headers: Readonly<Record<string, string>>;
}

async function fetchVersion({ step, ...asking }: Asking & { readonly step: Step }) {
  const { op } = asking;
  const version = await withClient(
    asking,
    async (work) => (await askForVersion(work)) ?? (await download({ ...work, step })),
  );
  if (op.checksum === undefined || op.checksum === version.digest) return version;
  throw digestMismatch(op.checksum, version.digest, displayUrl(op.url));
}

async function withClient<T>(asking: Asking, ask: (work: Requesting) => Promise<T>): Promise<T> {
  const client = openHttpClient();
  const { op, environment, versions } = asking;
  try {
    return await patiently(environment.signal, async () => {
      const authorization = await authorizationFor(op.url, environment);
      return ask({ ...asking, client, headers: { ...conditions(versions), ...authorization } });
    });
  } catch (error) {
    throw withSecretHint(error, op);
  } finally {
    // Nobody waits for sockets of a download that is over.
    void client.close();
  }
}

/**
 * The known version that the server still has, by HEAD: there are servers that take no notice of conditions in a GET.
 * undefined when it has another one, or cannot say.
 */
async function askForVersion(work: Requesting): Promise<UrlVersion | undefined> {
  if (!work.versions.some(({ etag }) => etag !== undefined)) return undefined;
  try {
    const { op, client, headers } = work;
    const { signal } = work.environment;
    const answer = await downloadUrl({ url: op.url, method: "HEAD", client, headers, signal });
    await finished(answer.content.resume());
    return knownVersion(answer, work.versions);
  } catch (error) {
    // Not every server answers HEAD; whatever is wrong, GET will tell.
    if (isTsbuildError(error, "HTTP_FAILED")) return undefined;
    throw error;
  }
}

async function download(work: Requesting & { readonly step: Step }): Promise<UrlVersion> {
  const { op, environment, versions, client, headers, step } = work;
  const { store, signal } = environment;
  const answer = await downloadUrl({ url: op.url, client, headers, signal });
  if (answer.isUnchanged) {
    await finished(answer.content.resume());
    const known = knownVersion(answer, versions);
    if (known !== undefined) return known;
    throw coreError(
      "HTTP_FAILED",
      `get ${displayUrl(op.url)}: the server takes the file for known`,
      {
        hint: "its answer 304 names no version that was asked for; try again, or ask whoever runs it",
        details: { status: 304, isRetryable: false },
      },
    );
  }
  const counted = Readable.from(countBytes(answer, { item: op.fileName, step }), {
    objectMode: false,
  });
  const { digest, size } = await store.blobs.write(
    counted,
    op.checksum === undefined ? undefined : { digest: op.checksum },
    signal,
  );
  step.progress({ item: op.fileName, current: size, total: size, unit: "bytes", done: true });
  const version = describe(answer, { digest, size });
  await writeUrlVersion(store, op.url, version);
  return version;
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

function conditions(versions: readonly UrlVersion[]): Record<string, string> {
  const tags = versions.flatMap(({ etag }) => etag ?? []);
  return tags.length === 0 ? {} : { "if-none-match": tags.join(", ") };
}

/** A 304 without an ETag is about the one that was asked for, if it was one. */
function knownVersion(answer: Download, versions: readonly UrlVersion[]): UrlVersion | undefined {
  const tagged = versions.filter(({ etag }) => etag !== undefined);
  if (answer.etag !== undefined) return tagged.find(({ etag }) => sameTag(etag, answer.etag));
  return answer.isUnchanged && tagged.length === 1 ? tagged[0] : undefined;
}

/** A tag that a proxy made weak on its way still means the same file. */
function sameTag(one: string | undefined, other: string | undefined): boolean {
  return one?.replace(/^W\//, "") === other?.replace(/^W\//, "");
}

function describe(download: Download, content: Pick<UrlVersion, "digest" | "size">): UrlVersion {
  const { etag, lastModified } = download;
  return {
    ...content,
    ...(etag === undefined ? {} : { etag }),
    ...(lastModified === undefined ? {} : { lastModified: lastModified.getTime() }),
  };
}

/**
 * Headers that say who we are to a URL's host: from the secrets `HTTP_AUTH_TOKEN_<host>`, a bearer token, or
 * `HTTP_AUTH_HEADER_<host>`, the whole value. The host is written without a port.
 */
export async function authorizationFor(
  url: string,
  { readSecret }: Pick<BuildEnvironment, "readSecret">,
): Promise<Record<string, string>> {
  const host = bareHost(new URL(url));
  const token = await readSecret?.(`HTTP_AUTH_TOKEN_${host}`);
  if (token !== undefined) return { authorization: `Bearer ${token.toString().trim()}` };
  const header = await readSecret?.(`HTTP_AUTH_HEADER_${host}`);
  return header === undefined ? {} : { authorization: header.toString().trim() };
}

function withSecretHint(error: unknown, { url }: HttpOp): unknown {
  if (!isTsbuildError(error, "HTTP_FAILED")) return error;
  if (error.details["status"] !== 401 && error.details["status"] !== 403) return error;
  const name = `HTTP_AUTH_TOKEN_${bareHost(new URL(url))}`;
  return coreError("HTTP_FAILED", error.message, {
    hint: `give a token with --secret id=${name}, or the whole header with HTTP_AUTH_HEADER_ before the host`,
    details: error.details,
    cause: error,
  });
}

/** Milliseconds before each further try. */
const pauses = [300, 1000];

/** Tries again what another try may change: broken connections, servers that are busy. */
async function patiently<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  for (const pause of pauses) {
    try {
      return await work();
    } catch (error) {
      if (!isTsbuildError(error) || error.details["isRetryable"] !== true) throw error;
      await sleep(pause, undefined, { signal });
    }
  }
  return work();
}
