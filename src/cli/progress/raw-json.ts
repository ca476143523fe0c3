import { isUtf8 } from "node:buffer";
import type { ProgressEvent } from "../../core/index.ts";
import type { Progress, ProgressOptions } from "./types.ts";

/**
 * One JSON object a line, one line an event, with the members of the event (times in milliseconds since the epoch). Of
 * `step-output`, `bytes` becomes `text` when the chunk is whole UTF-8 and `base64` when it is not; the chunks of one
 * step and stream, decoded and put together, are what the process wrote.
 */
export function createRawJson({ stream }: ProgressOptions): Progress {
  return {
    listener: (event) => stream.write(`${JSON.stringify(jsonOf(event))}\n`),
    finish: () => undefined,
  };
}

function jsonOf(event: ProgressEvent): object {
  if (event.type !== "step-output") return event;
  const { bytes, ...rest } = event;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return isUtf8(buffer)
    ? { ...rest, text: buffer.toString("utf8") }
    : { ...rest, base64: buffer.toString("base64") };
}
