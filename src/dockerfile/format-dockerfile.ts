import type { EscapeCharacter } from "./characters.ts";
import { formatInstruction } from "./format-instruction.ts";
import type { Directives, Dockerfile, Instruction } from "./types.ts";

const directiveLike = /^(?:escape|syntax|check)\s*=/i;

/**
 * A Dockerfile's text, in one way of writing: parsed again, it gives the same instructions, comments and directives
 * (places, and `original`, aside). Keywords are in upper case and everything of one instruction stands on one line,
 * but for bodies of heredocs and lines that would be too long.
 */
export function formatDockerfile(
  dockerfile: Pick<Dockerfile, "directives" | "globalArgs" | "stages">,
): string {
  const { directives, globalArgs, stages } = dockerfile;
  const head = formatDirectives(directives);
  const instructions: readonly Instruction[] = [
    ...globalArgs,
    ...stages.flatMap((stage) => [stage.from, ...stage.instructions]),
  ];
  // A blank line ends the directives, so that no comment becomes one.
  const first = instructions[0]?.comments?.[0]?.text ?? "";
  const separator = head !== "" || directiveLike.test(first) ? "\n" : "";
  return head + separator + instructions.map(format(directives.escape)).join("");
}

function format(escape: EscapeCharacter): (instruction: Instruction) => string {
  return (instruction) => formatComments(instruction) + formatInstruction(instruction, escape);
}

function formatDirectives({ syntax, escape, check }: Directives): string {
  return [
    ...(syntax === undefined ? [] : [`# syntax=${syntax}\n`]),
    ...(escape === "\\" ? [] : [`# escape=${escape}\n`]),
    ...(check === undefined ? [] : [`# check=${check}\n`]),
  ].join("");
}

function formatComments({ comments = [] }: Instruction): string {
  return comments.map(({ text }) => `# ${text}\n`).join("");
}
