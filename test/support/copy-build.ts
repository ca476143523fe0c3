import { join } from "node:path";
import { inspect } from "node:util";
import { onTestFinished } from "vitest";
import { openDirectoryContext } from "../../src/context/index.ts";
import { isTsbuildError, type TsbuildError } from "../../src/core/index.ts";
import { openBuildHarness, type BuildHarness, type Built } from "./build-harness.ts";
import { nodesOf, type Nodes } from "./copy-harness.ts";
import { FakeSandbox } from "./fake-sandbox.ts";
import { makeContext, type ContextEntry } from "./setup-context.ts";
import { temporaryFolder } from "./temporary-folder.ts";

/** Whole Dockerfiles over a context on disk; a RUN writes a file of its command's name. */
export interface CopyBuild {
  readonly harness: BuildHarness;
  /** The context's folder. */
  readonly context: string;
  /** The state root. */
  readonly root: string;
  build(dockerfile: string): Promise<Built>;
  /** Everything in the image that the Dockerfile gives. */
  nodes(dockerfile: string): Promise<Nodes>;
  nodesOf(built: Built): Promise<Nodes>;
  /** How the Dockerfile fails; it must. */
  failure(dockerfile: string): Promise<TsbuildError>;
}

export async function openCopyBuild(
  entries: Readonly<Record<string, ContextEntry>>,
): Promise<CopyBuild> {
  const context = await makeContext(entries);
  const directory = await temporaryFolder();
  const sandbox = new FakeSandbox({ answer: (command) => ({ write: { [command]: command } }) });
  const harness = await openBuildHarness({
    directory,
    sandbox,
    context: async () => openDirectoryContext({ directory: context }),
  });
  onTestFinished(async () => harness.close());
  const nodes = async (built: Built): Promise<Nodes> =>
    nodesOf(await harness.environment.snapshots.tree(built.targets[0]?.chainId));
  return {
    harness,
    context,
    root: join(directory, "root"),
    build: async (dockerfile) => harness.build(dockerfile),
    nodes: async (dockerfile) => nodes(await harness.build(dockerfile)),
    nodesOf: nodes,
    failure: async (dockerfile) => {
      const error = await harness.build(dockerfile).catch((reason: unknown) => reason);
      if (!isTsbuildError(error))
        throw new Error(`it did not fail in our words: ${inspect(error)}`);
      return error;
    },
  };
}

/** A node's line without its time: `file 644 0:0 content`. */
export function withoutTime(line: string | undefined): string | undefined {
  return line?.replace(/ @-?\d+/, "");
}
