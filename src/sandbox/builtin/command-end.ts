import { constants } from "node:os";
import { sandboxError } from "../errors.ts";
import { failureOf } from "./failure.ts";
import type { ProgramOutcome } from "./run-program.ts";

/** How the command of a step program ended. */
export type CommandEnd = { readonly exitCode: number } | { readonly signal: string };

/**
 * What the command did, when it was the command that ended.
 * @throws SANDBOX_LOST, and for a failed set-up what {@link failureOf} makes of it
 */
export function endOf(outcome: ProgramOutcome): CommandEnd {
  switch (outcome.type) {
    case "failed":
      throw failureOf(outcome.failure);
    case "lost":
      throw sandboxError("SANDBOX_LOST", "wait for a step: its supervisor was killed", {
        hint: "look for the kernel's out-of-memory killer in dmesg",
      });
    case "ended":
      return decodeWaitStatus(outcome.waitStatus);
  }
}

/** The low seven bits are the signal; zero means that the process exited with the next eight. */
function decodeWaitStatus(status: number): CommandEnd {
  const number = status & 0x7f;
  if (number === 0) return { exitCode: (status >> 8) & 0xff };
  const known = Object.entries(constants.signals).find(([, value]) => value === number);
  return { signal: known?.[0] ?? `SIG${number}` };
}
