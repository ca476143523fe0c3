import { join, posix } from "node:path";
import type { StepLog } from "../../build/index.ts";
import { openSmallContext, openStreamContext } from "../../context/index.ts";
import { downloadUrl, hideCredentials, type GitReference } from "../../core/index.ts";
import { openContent, resolvePath, rootPathToString, type MergedTree } from "../../layer/index.ts";
import type { Engine } from "../engine.ts";
import { apiError, usageError } from "../errors.ts";
import { isHttpUrl, type ContextPlace } from "./context-place.ts";
import type { BuildOptions } from "./options.ts";
import type { Remotes } from "./remotes.ts";
import {
  readLocalDockerfile,
  type BuildSources,
  type DockerfileSource,
  type MainContext,
} from "./sources.ts";
import { readDockerfileStream, untilAborted } from "./standard-input.ts";

export interface RemoteRequest {
  readonly place: ContextPlace;
  readonly options: Pick<BuildOptions, "file" | "stdin">;
  readonly engine: Engine;
  readonly steps: StepLog;
  readonly remotes: Remotes;
}

/**
 * Opens a context that is no directory of this host, or reads a Dockerfile that is no file of it. `-f` names a file inside
 * of such a context, `-`, or a URL.
 * @throws CONTEXT_*, DOCKERFILE_NOT_FOUND, HTTP_*, LAYER_*, USAGE, CANCELED
 */
export async function openRemoteSources(request: RemoteRequest): Promise<BuildSources> {
  const { place, options } = request;
  const { file } = options;
  if (place.type === "stdin" && file === "-") {
    throw usageError(
      "read both the build context and the Dockerfile from standard input",
      "invalid argument: can't use stdin for both build context and dockerfile",
    );
  }
  if (place.type === "directory") {
    const { directory } = place;
    const dockerfile =
      (await readForeignDockerfile(request)) ?? (await readLocalDockerfile(directory, file));
    return { dockerfile, context: { type: "directory", directory } };
  }
  const opened = await openContext(request);
  if (opened.dockerfile === undefined) {
    const dockerfile =
      (await readForeignDockerfile(request)) ?? (await readTreeDockerfile(opened.context, file));
    return { dockerfile, context: opened.context };
  }
  if (file === undefined) return { dockerfile: opened.dockerfile, context: opened.context };
  throw usageError(
    `read the Dockerfile ${file}: the context is a Dockerfile itself`,
    "ambiguous Dockerfile source: give a directory or an archive as the context, or leave -f out",
  );
}

interface OpenedContext {
  readonly context: Extract<MainContext, { type: "tree" }>;
  /** When what was given is no context but the Dockerfile alone. */
  readonly dockerfile?: DockerfileSource;
}

async function openContext(request: RemoteRequest): Promise<OpenedContext> {
  const { place } = request;
  switch (place.type) {
    case "git":
      return openGitContext(place.reference, request);
    case "http":
      return openUrlContext(place.url, request);
    default:
      return openStdinContext(request);
  }
}

async function openGitContext(
  given: GitReference,
  { engine, remotes, steps }: RemoteRequest,
): Promise<OpenedContext> {
  const reference = remotes.keepGitDir ? { ...given, keepGitDir: true } : given;
  const { signal } = engine;
  const repositories = remotes.git();
  const label = describeRepository(reference);
  const tree = await steps.run(`[internal] load git source ${label}`, () =>
    repositories.open(reference, signal),
  );
  const time = (): Promise<number> => repositories.commitTime(reference, signal);
  return { context: { type: "tree", tree, label, time } };
}

function describeRepository({ remote, ref = "", subdir }: GitReference): string {
  const fragment = subdir === undefined ? ref : `${ref}:${subdir}`;
  return fragment === "" ? remote : `${remote}#${fragment}`;
}

async function openUrlContext(url: string, request: RemoteRequest): Promise<OpenedContext> {
  const { engine, steps, remotes } = request;
  const { signal } = engine;
  const label = hideCredentials(url);
  return steps.run(`[internal] load remote build context`, async () => {
    const headers = await remotes.authorize(url);
    const { content, lastModified } = await downloadUrl({ url, headers, signal });
    const modified = lastModified === undefined ? undefined : lastModified.getTime() / 1000;
    const stream = await openStreamContext(content, { folder: folderIn(engine), label, signal });
    if (stream.type === "tree") {
      const time = modified ?? stream.newest;
      return { context: { type: "tree", tree: stream.tree, label, time: async () => time } };
    }
    const bytes = await readDockerfileStream(stream.content, label);
    const place = { folder: folderIn(engine), label };
    const tree = await openSmallContext(place, { name: "context", bytes });
    const shown = posix.basename(new URL(url).pathname);
    return {
      context: { type: "tree", tree, label, time: async () => modified },
      dockerfile: { shown: shown === "" ? "Dockerfile" : shown, bytes },
    };
  });
}

async function openStdinContext({ engine, steps, options }: RemoteRequest): Promise<OpenedContext> {
  const { signal } = engine;
  const label = "standard input";
  return steps.run("[internal] load build context from standard input", async () => {
    const input = untilAborted(options.stdin ?? process.stdin, signal);
    const stream = await openStreamContext(input, { folder: folderIn(engine), label, signal });
    if (stream.type === "tree")
      return {
        context: { type: "tree", tree: stream.tree, label, time: async () => stream.newest },
      };
    const bytes = await readDockerfileStream(stream.content, label);
    const tree = await openSmallContext({ folder: folderIn(engine), label });
    return {
      context: { type: "tree", tree, label, time: async () => undefined },
      dockerfile: { shown: "Dockerfile", bytes },
    };
  });
}

/** One build has one main context, so its folder needs no number. */
function folderIn({ store }: Engine): string {
  return join(store.tmpDir, "context");
}

/** A Dockerfile from standard input or a URL; undefined when `-f` names neither. */
async function readForeignDockerfile(
  request: RemoteRequest,
): Promise<DockerfileSource | undefined> {
  const { options, engine, remotes, steps } = request;
  const { file } = options;
  const { signal } = engine;
  if (file === "-") {
    const bytes = await readDockerfileStream(
      untilAborted(options.stdin ?? process.stdin, signal),
      "standard input",
    );
    return { shown: "Dockerfile", bytes };
  }
  if (file === undefined || !isHttpUrl(file)) return undefined;
  const label = hideCredentials(file);
  return steps.run(`[internal] load remote Dockerfile`, async () => {
    const { content } = await downloadUrl({
      url: file,
      headers: await remotes.authorize(file),
      signal,
    });
    try {
      return { shown: label, bytes: await readDockerfileStream(content, label) };
    } finally {
      content.destroy();
    }
  });
}

/** A Dockerfile inside of a context; `dockerfile` does for `Dockerfile`, as on this host. */
async function readTreeDockerfile(
  context: Extract<MainContext, { type: "tree" }>,
  file: string | undefined,
): Promise<DockerfileSource> {
  const wanted = file ?? "Dockerfile";
  const candidates = [wanted];
  if (posix.basename(wanted) === "Dockerfile")
    candidates.push(posix.join(posix.dirname(wanted), "dockerfile"));
  for (const path of candidates) {
    const bytes = await readTreeFile(context.tree, path);
    if (bytes !== undefined) return { shown: path, bytes };
  }
  throw apiError(
    "DOCKERFILE_NOT_FOUND",
    `read the Dockerfile ${wanted} in ${context.label}: there is no such file`,
    {
      hint: "name it with -f when it lies elsewhere or has another name",
      details: { path: wanted },
    },
  );
}

async function readTreeFile(tree: MergedTree, path: string): Promise<Buffer | undefined> {
  const real = await resolvePath(tree, path, { followLast: true });
  if ((await tree.lstat(real))?.type !== "file") return undefined;
  const content = openContent(await tree.openFile(real));
  try {
    return await readDockerfileStream(content.stream, rootPathToString(real));
  } finally {
    await content.close();
  }
}
