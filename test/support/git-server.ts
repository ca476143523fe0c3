import { spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { dirname, join } from "node:path";
import { openLocalServer, type LocalServer } from "./local-server.ts";
import { writeEntries, type ContextEntry } from "./setup-context.ts";
import { runProgram } from "./setup-workspace.ts";

/** A folder of repositories behind git's own http server, or, for `/dumb/…`, as plain files. */
export interface GitServer extends LocalServer {
  /** What requests must bring in `authorization`; everybody is welcome until it is set. */
  expected: string | undefined;
  /** Makes or adds to a repository and returns the hash of its new commit on `branch` (main). */
  commit(
    repository: string,
    entries: Readonly<Record<string, ContextEntry>>,
    options?: { readonly branch?: string; readonly date?: string },
  ): Promise<string>;
  /** Runs git in the bare repository. */
  git(repository: string, ...args: string[]): Promise<string>;
  /** `http://127.0.0.1:PORT/NAME.git`. */
  url(repository: string): string;
}

const environment = {
  PATH: process.env["PATH"],
  HOME: "/dev/null",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_AUTHOR_NAME: "test",
  GIT_AUTHOR_EMAIL: "test@example.com",
  GIT_COMMITTER_NAME: "test",
  GIT_COMMITTER_EMAIL: "test@example.com",
};

/** Whoever opens it closes it; `folder` is for the repositories. */
export async function openGitServer(folder: string): Promise<GitServer> {
  const server: Pick<GitServer, "expected"> = { expected: undefined };
  const local = await openLocalServer((request, response) => {
    if (server.expected !== undefined && request.headers.authorization !== server.expected)
      response.writeHead(401, { "www-authenticate": "Basic" }).end();
    else serveGit(folder, request, response);
  });
  const bare = (repository: string): string => join(folder, `${repository}.git`);
  const git = async (repository: string, ...args: string[]): Promise<string> =>
    runProgram("git", ["-C", bare(repository), ...args], { env: environment });
  return Object.assign(server, local, {
    git,
    url: (repository: string) => `${local.origin}/${repository}.git`,
    commit: async (
      repository: string,
      entries: Readonly<Record<string, ContextEntry>>,
      { branch = "main", date = "2020-02-02T02:02:02Z" }: { branch?: string; date?: string } = {},
    ) => {
      const work = join(folder, "work", repository);
      const run = async (...args: string[]): Promise<string> =>
        runProgram("git", ["-C", work, ...args], {
          env: { ...environment, GIT_COMMITTER_DATE: date, GIT_AUTHOR_DATE: date },
        });
      const isNew = await mkdir(dirname(join(work, "x")), { recursive: true });
      if (isNew !== undefined) {
        await runProgram("git", ["init", "-q", "--bare", "-b", "main", bare(repository)]);
        await run("init", "-q", "-b", branch);
      } else await run("checkout", "-q", "-B", branch);
      await writeEntries(work, entries);
      await run("add", "--all", "--force");
      await run("commit", "-q", "--allow-empty", "-m", "change");
      await run("push", "-q", "--force", bare(repository), `HEAD:refs/heads/${branch}`);
      await git(repository, "update-server-info");
      return (await run("rev-parse", "HEAD")).trim();
    },
  });
}

function serveGit(folder: string, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, search } = new URL(request.url ?? "", "http://server");
  const isDumb = pathname.startsWith("/dumb/");
  const backend = spawn("git", ["http-backend"], {
    env: {
      ...environment,
      GIT_PROJECT_ROOT: folder,
      GIT_HTTP_EXPORT_ALL: "1",
      PATH_INFO: isDumb ? pathname.slice("/dumb".length) : pathname,
      // Without the question for a service the backend gives out files.
      QUERY_STRING: isDumb ? "" : search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers["content-type"] ?? "",
      HTTP_CONTENT_ENCODING: request.headers["content-encoding"] ?? "",
      GIT_PROTOCOL: String(request.headers["git-protocol"] ?? ""),
    },
    stdio: ["pipe", "pipe", "ignore"],
  });
  request.pipe(backend.stdin);
  backend.stdin.on("error", () => undefined);
  let head = Buffer.alloc(0);
  let isBody = false;
  backend.stdout.on("data", (chunk: Buffer) => {
    if (isBody) return void response.write(chunk);
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf("\r\n\r\n");
    if (end < 0) return;
    isBody = true;
    writeHead(head.subarray(0, end).toString("latin1"), response);
    response.write(head.subarray(end + 4));
  });
  backend.stdout.on("end", () => response.end());
}

/** As a CGI program says it. */
function writeHead(head: string, response: ServerResponse): void {
  let status = 200;
  for (const line of head.split("\r\n")) {
    const colon = line.indexOf(":");
    const [name, value] = [line.slice(0, colon), line.slice(colon + 1).trim()];
    if (name.toLowerCase() === "status") status = Number.parseInt(value, 10);
    else response.setHeader(name, value);
  }
  response.writeHead(status);
}
