import { parseReference } from "../core/index.ts";
import type { Dockerfile, ParseObserver } from "../dockerfile/index.ts";
import { planError } from "./errors.ts";
import { findNamedContext } from "./named-contexts.ts";
import type { PlanOptions } from "./types.ts";

/**
 * `# syntax=…` names the program that should read the file. The reference one, under any registry and tag, is what
 * this project does itself; anything else would be another language. The build argument BUILDKIT_SYNTAX beats the
 * directive, and its value `dockerfile.v0` always means us. A named context may stand in for the program's image.
 * @throws PLAN_SYNTAX_UNSUPPORTED
 */
export function refuseForeignSyntax(
  { directives, file }: Pick<Dockerfile, "directives" | "file">,
  options: SyntaxOptions,
): void {
  const syntax = options.buildArgs.get("BUILDKIT_SYNTAX") ?? directives.syntax;
  const [image = ""] = (syntax ?? "").split(" ");
  if (image === "" || image === "dockerfile.v0") return;
  const used = imageInstead(image, options);
  if (used !== undefined && isOwn(used)) return;
  const shown = used === undefined || used === image ? image : `${image} (${used})`;
  throw planError("PLAN_SYNTAX_UNSUPPORTED", `read ${file} with the syntax ${shown}`, {
    hint: "only docker/dockerfile is built in: remove the syntax line, or build with --build-arg BUILDKIT_SYNTAX=dockerfile.v0",
    location: directives.syntaxLocation ?? { file, line: 1, column: 1 },
    details: { syntax: image },
  });
}

type SyntaxOptions = Pick<PlanOptions, "buildArgs" | "namedContexts">;

/**
 * Stops the reading of a file that is for another program, before anything in it looks like a mistake. `inner` is told
 * everything else.
 */
export function refusingForeignSyntax(
  file: string,
  options: SyntaxOptions & { readonly inner?: ParseObserver | undefined },
): ParseObserver {
  const { inner } = options;
  return {
    onDirectives: (directives) => {
      refuseForeignSyntax({ directives, file }, options);
      inner?.onDirectives(directives);
    },
    onInstruction: (instruction) => inner?.onInstruction(instruction),
    onBlankContinuation: (location) => inner?.onBlankContinuation(location),
    onDockerfile: (dockerfile) => inner?.onDockerfile(dockerfile),
  };
}

/** undefined when files stand in for the image: only images are programs. */
function imageInstead(
  image: string,
  options: Pick<PlanOptions, "namedContexts">,
): string | undefined {
  const found = findNamedContext(image, options);
  if (found === undefined) return image;
  return found.context.type === "image" ? found.context.reference : undefined;
}

function isOwn(image: string): boolean {
  try {
    return /(?:^|\/)dockerfile(?:-upstream)?$/.test(parseReference(image).path);
  } catch {
    // No image name at all, so certainly not ours.
    return false;
  }
}
