import {
  checkDockerfile,
  describeCalls,
  listTargets,
  outlineDockerfile,
  toCheckDocument,
  toOutlineDocument,
  toTargetsDocument,
  type BuildOptions,
  type Call,
} from "../../api/index.ts";
import { unreachable } from "../../core/index.ts";
import { formatCheck } from "./print-check.ts";
import { formatCalls, formatOutline, formatTargets } from "./print-outline.ts";

/** What a call prints, and how the command ends. */
export interface CallOutput {
  readonly text: string;
  readonly exitCode: number;
  /** Told on standard error besides. */
  readonly error?: Error;
}

/** Does what `--call` asks for. Prints nothing itself: the progress display may still be on the screen. */
export async function runCall(
  call: Call & { readonly method: Exclude<Call["method"], "build"> },
  options: BuildOptions,
): Promise<CallOutput> {
  switch (call.method) {
    case "check":
      return runCheck(call, options);
    case "outline": {
      const outline = await outlineDockerfile(options);
      return output(call, { document: toOutlineDocument(outline), text: formatOutline(outline) });
    }
    case "targets": {
      const targets = await listTargets(options);
      return output(call, { document: toTargetsDocument(targets), text: formatTargets(targets) });
    }
    case "subrequests.describe": {
      const calls = describeCalls();
      return output(call, { document: calls, text: formatCalls(calls) });
    }
    default:
      return unreachable(call.method);
  }
}

async function runCheck(call: Call, options: BuildOptions): Promise<CallOutput> {
  const result = await checkDockerfile(options);
  const { warnings, error } = result;
  const printed = output(call, { document: toCheckDocument(result), text: formatCheck(result) });
  const isBad = warnings.length > 0 && !call.ignoreStatus;
  return {
    ...printed,
    exitCode: isBad || error !== undefined ? 1 : 0,
    ...(error === undefined ? {} : { error }),
  };
}

function output(
  { format }: Call,
  { document, text }: { readonly document: unknown; readonly text: string },
): CallOutput {
  const printed = format === "json" ? `${JSON.stringify(document, undefined, 2)}\n` : text;
  return { text: printed, exitCode: 0 };
}
