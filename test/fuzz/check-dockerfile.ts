import { isTsbuildError, parsePlatform, type SourceLocation } from "../../src/core/index.ts";
import { formatDockerfile, parseDockerfile, type Dockerfile } from "../../src/dockerfile/index.ts";
import { planBuild } from "../../src/plan/index.ts";
import { createFakeBases } from "../support/fake-bases.ts";
import { syntaxOnly } from "../support/syntax-only.ts";

/**
 * What must hold for every text there is: it is parsed and planned, or refused with a code and a place inside the
 * file; and what was parsed can be written and then reads the same. Throws where it does not.
 * @returns how far the text came
 */
export async function checkDockerfile(text: string): Promise<"refused" | "parsed" | "planned"> {
  const dockerfile = await attempt(text, () => parse(text));
  if (dockerfile === undefined) return "refused";
  checkStability(dockerfile);
  const plan = await attempt(text, () =>
    planBuild(dockerfile, {
      buildArgs: new Map([["b", "given"]]),
      platforms: [parsePlatform("linux/amd64")],
      buildPlatform: parsePlatform("linux/amd64"),
      resolveBase: createFakeBases().resolveBase,
    }),
  );
  return plan === undefined ? "parsed" : "planned";
}

function parse(text: string): Dockerfile {
  return parseDockerfile(text, { file: "Dockerfile" });
}

/** undefined for a failure as it should be. */
async function attempt<Result>(
  text: string,
  act: () => Result | Promise<Result>,
): Promise<Result | undefined> {
  try {
    return await act();
  } catch (error) {
    if (!isTsbuildError(error)) throw new Error(`no code: ${String(error)}`, { cause: error });
    const lineCount = text.split("\n").length;
    if (error.location === undefined || !isInside(error.location, lineCount)) {
      const place = JSON.stringify(error.location);
      throw new Error(`${error.code} has no place in the file: ${place}`, { cause: error });
    }
    return undefined;
  }
}

function isInside({ line, column }: SourceLocation, lineCount: number): boolean {
  return line >= 1 && line <= lineCount && column >= 1;
}

function checkStability(dockerfile: Dockerfile): void {
  const written = formatDockerfile(dockerfile);
  const again = parse(written);
  if (JSON.stringify(syntaxOnly(again)) !== JSON.stringify(syntaxOnly(dockerfile))) {
    throw new Error(`it reads differently when it is written as ${visible(written)}`);
  }
  if (formatDockerfile(again) !== written) throw new Error("it is written differently again");
}

/** As JSON, characters outside of ASCII escaped: the ones that nobody sees are the interesting ones. */
export function visible(text: string): string {
  return JSON.stringify(text).replace(
    /[\u0080-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
