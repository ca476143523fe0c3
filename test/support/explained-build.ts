import { chmod, mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { openDirectoryContext } from "../../src/context/index.ts";
import { openWaitingBuild, type BuildHarness, type BuildRequest } from "./build-harness.ts";
import { makeContext } from "./setup-context.ts";

const files = {
  "package.json": "{}",
  "src/a.ts": "1",
  "src/b.ts": "2",
  "src/deep/c.ts": "3",
  "notes/n": "4",
};

/** Two stages: what is copied, what runs, and what one stage takes from the other. */
export const dockerfile = [
  "FROM base AS build",
  "ARG VERSION=1",
  "ENV LEVEL=low",
  "COPY package.json ./",
  "RUN install",
  "COPY src/ /src/",
  "RUN compile",
  "FROM base",
  "COPY --from=build /out /app",
  "RUN check",
].join("\n");

/** The context of `dockerfile`, and builds of it whose steps make what they are called. */
export async function openExplainedBuild(): Promise<{
  readonly directory: string;
  readonly harness: BuildHarness;
}> {
  const directory = await makeContext(files);
  const { harness } = await openWaitingBuild({
    // What a step makes depends on the step alone: what follows is known by content.
    answer: (command) => ({
      write: { [/\bcompile\b/.test(command) ? "out/file" : command]: command },
    }),
    context: () => openDirectoryContext({ directory }),
  });
  return { directory, harness };
}

/** `name: why` of every step that ran. */
export function reasons({ events }: BuildHarness): readonly string[] {
  return events.flatMap((event) =>
    event.type === "step-started" ? [`${event.name}: ${event.why ?? "-"}`] : [],
  );
}

/** A change of the Dockerfile, of the context (a file, and its new content), or of the request. */
export interface Mutation {
  readonly edit?: readonly [string, string];
  readonly files?: Readonly<Record<string, string | undefined>>;
  readonly modes?: Readonly<Record<string, number>>;
  readonly request?: BuildRequest;
}

/** Changes the context. */
export async function mutate(
  directory: string,
  { files: changed = {}, modes = {} }: Mutation,
): Promise<void> {
  for (const [path, content] of Object.entries(changed)) {
    const place = join(directory, path);
    await rm(place, { force: true, recursive: true });
    if (content === undefined) continue;
    await mkdir(dirname(place), { recursive: true });
    await writeFile(place, content);
  }
  for (const [path, mode] of Object.entries(modes)) await chmod(join(directory, path), mode);
}

/** One of each kind. */
export const mutations: readonly (readonly [string, Mutation])[] = [
  ["nothing", {}],
  ["a file that is copied", { files: { "package.json": "{1}" } }],
  ["one of several files", { files: { "src/b.ts": "22" } }],
  ["a file more", { files: { "src/b2.ts": "5" } }],
  ["a file less", { files: { "src/deep": undefined } }],
  ["a mode", { modes: { "src/a.ts": 0o755 } }],
  ["a file in the place of a folder", { files: { "src/deep": "file" } }],
  ["a file that is renamed", { files: { "src/a.ts": undefined, "src/z.ts": "1" } }],
  ["many files", { files: { "src/1": "", "src/2": "", "src/3": "", "src/4": "", "src/5": "" } }],
  ["a file that nothing copies", { files: { "notes/n": "5" } }],
  ["a command", { edit: ["RUN compile", "RUN compile -O2"] }],
  ["an instruction more", { edit: ["RUN install", "RUN prepare\nRUN install"] }],
  ["an instruction less", { edit: ["RUN install\n", ""] }],
  ["a source of COPY", { edit: ["COPY src/ /src/", "COPY src /source/"] }],
  ["an ARG's default", { edit: ["VERSION=1", "VERSION=2"] }],
  ["--build-arg", { request: { buildArgs: { VERSION: "3" } } }],
  ["an ENV", { edit: ["LEVEL=low", "LEVEL=high"] }],
  ["an ENV more", { edit: ["ENV LEVEL=low", "ENV LEVEL=low MORE=yes"] }],
  ["an ENV less", { edit: ["ENV LEVEL=low\n", ""] }],
  ["WORKDIR", { edit: ["RUN compile", "WORKDIR /src\nRUN compile"] }],
  ["USER", { edit: ["RUN compile", "USER 5\nRUN compile"] }],
  ["SHELL", { edit: ["RUN compile", 'SHELL ["/bin/sh", "-ec"]\nRUN compile'] }],
  ["--network", { edit: ["RUN compile", "RUN --network=none compile"] }],
  ["a mount", { edit: ["RUN compile", "RUN --mount=type=tmpfs,target=/t compile"] }],
  ["--chown", { edit: ["COPY src/", "COPY --chown=5 src/"] }],
  ["the base of one stage", { edit: ["FROM base AS build", "FROM scratch AS build"] }],
  ["a heredoc", { edit: ["RUN install", "RUN <<EOF\ninstall\nEOF"] }],
  ["--no-cache", { request: { noCache: true } }],
  ["--no-cache-filter", { request: { noCache: ["build"] } }],
  ["a comment", { edit: ["RUN compile", "# why\nRUN compile"] }],
];
