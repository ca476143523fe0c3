import { parseReference } from "../core/index.ts";
import type { Dockerfile } from "../dockerfile/index.ts";
import { planError } from "./errors.ts";

/**
 * `# syntax=…` names the program that should read the file. The reference one, under any registry and tag, is what
 * this project does itself; anything else would be another language. The build argument BUILDKIT_SYNTAX beats the
 * directive, and its value `dockerfile.v0` always means us.
 * @throws PLAN_SYNTAX_UNSUPPORTED
 */
export function refuseForeignSyntax(
  { directives, file, lines }: Dockerfile,
  buildArgs: ReadonlyMap<string, string>,
): void {
  const syntax = buildArgs.get("BUILDKIT_SYNTAX") ?? directives.syntax;
  const [image = ""] = (syntax ?? "").split(" ");
  if (image === "" || image === "dockerfile.v0" || isOwn(image)) return;
  const line = lines.findIndex((text) => /syntax\s*=/i.test(text));
  throw planError("PLAN_SYNTAX_UNSUPPORTED", `read ${file} with the syntax ${image}`, {
    hint: "only docker/dockerfile is built in: remove the syntax line, or build with --build-arg BUILDKIT_SYNTAX=dockerfile.v0",
    location: { file, line: Math.max(line, 0) + 1, column: 1 },
    details: { syntax: image },
  });
}

function isOwn(image: string): boolean {
  try {
    return /(?:^|\/)dockerfile(?:-upstream)?$/.test(parseReference(image).path);
  } catch {
    // No image name at all, so certainly not ours.
    return false;
  }
}
