import { lstatSync } from "node:fs";
import { join } from "node:path";
import { explainPath } from "../../context/index.ts";
import { rootPathToString, toRootPath } from "../../layer/index.ts";
import { usageError } from "../errors.ts";
import type { BuildOptions } from "../build/options.ts";
import { seeContext } from "./see-context.ts";
import type { PathExplanation } from "./types.ts";

/**
 * Tells for each path, relative to the context, whether a build could read it, by which rules, and who does read it.
 * @throws USAGE for a path outside; what `inspectContext` throws
 */
export async function explainContextPaths(
  options: BuildOptions & { readonly paths: readonly string[] },
): Promise<readonly PathExplanation[]> {
  const wanted = options.paths.map(cleanPath);
  return seeContext(options, async ({ directory, rules, survey, uses }) =>
    wanted.map((path): PathExplanation => {
      const node = survey.nodes.find(({ name }) => name === path);
      return {
        path,
        isThere: node !== undefined || isOnDisk(directory, path),
        isIncluded: node !== undefined,
        rules: explainPath(rules, path),
        uses: uses.flatMap(({ use, nodes }) =>
          node !== undefined && nodes.has(node) ? [use] : [],
        ),
      };
    }),
  );
}

/** Whether something lies there that the rules take away. */
function isOnDisk(directory: string | undefined, path: string): boolean {
  if (directory === undefined) return false;
  try {
    return lstatSync(join(directory, path), { throwIfNoEntry: false }) !== undefined;
  } catch {
    // A file stands on the way, or a folder that may not be read.
    return false;
  }
}

function cleanPath(text: string): string {
  try {
    const path = rootPathToString(toRootPath(text));
    if (path !== "") return path;
  } catch {
    // Told below.
  }
  throw usageError(
    `explain ${JSON.stringify(text)}: it is no path inside the context`,
    "write it as the Dockerfile does, from the root of the context: src/main.ts",
  );
}
