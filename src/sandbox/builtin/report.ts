import { reportSize, reportTag } from "./program.ts";

/** What a step program said on fd 3. */
export type Report =
  { readonly type: "ready" } | CallReport | { readonly type: "ended"; readonly waitStatus: number };

export interface CallReport {
  readonly type: "failed" | "noted";
  readonly call: number;
  readonly errno: number;
}

/** Cuts the byte stream of fd 3 into reports; chunks may end anywhere. */
export class ReportReader {
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): readonly Report[] {
    const bytes = Buffer.concat([this.#rest, chunk]);
    const count = Math.floor(bytes.length / reportSize);
    this.#rest = bytes.subarray(count * reportSize);
    return Array.from({ length: count }, (_, i) => parseReport(bytes.subarray(i * reportSize)));
  }
}

function parseReport(bytes: Buffer): Report {
  const tag = bytes.readUInt32LE(0);
  const call = bytes.readUInt32LE(4);
  const value = bytes.readUInt32LE(8);
  switch (tag) {
    case reportTag.ready:
      return { type: "ready" };
    case reportTag.failed:
      return { type: "failed", call, errno: value };
    case reportTag.noted:
      return { type: "noted", call, errno: value };
    case reportTag.ended:
      return { type: "ended", waitStatus: value };
    case reportTag.endedBy:
      return { type: "ended", waitStatus: waitStatusOf({ code: call, status: value }) };
    default:
      throw new Error(`step program sent report ${tag}`);
  }
}

/** `CLD_EXITED` and `CLD_DUMPED` of siginfo; others mean a signal. */
const [exited, dumped] = [1, 3];

/** As wait4(2) would have told it. */
function waitStatusOf({
  code,
  status,
}: {
  readonly code: number;
  readonly status: number;
}): number {
  if (code === exited) return (status & 0xff) << 8;
  return status | (code === dumped ? 0x80 : 0);
}
