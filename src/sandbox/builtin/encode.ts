import { layOutData } from "./data-segment.ts";
import { buildElf, dataAddress, elfMachine } from "./elf.ts";
import { Arm64Machine } from "./encode-arm64.ts";
import { encodeCalls } from "./encode-calls.ts";
import { X64Machine } from "./encode-x64.ts";
import { at, reportDatum, reportTag } from "./program.ts";
import type { Call } from "./program.ts";

/** Architectures, by Node's names, for which step programs can be made. */
export type MachineArch = "x64" | "arm64";

export function isMachineArch(arch: string): arch is MachineArch {
  return arch === "x64" || arch === "arm64";
}

const machines = { x64: X64Machine, arm64: Arm64Machine } as const;

/** The bytes of a static ELF executable that makes `calls`. Same calls, same bytes. */
export function encodeProgram(calls: readonly Call[], arch: MachineArch): Uint8Array {
  const failed = reportDatum(reportTag.failed);
  const noted = reportDatum(reportTag.noted);
  const data = layOutData({ calls, extra: [failed, noted], address: dataAddress });
  const code = encodeCalls({
    calls,
    records: { failed: at(failed), noted: at(noted) },
    machine: (buffer) => new machines[arch](buffer, data.valueOf),
  });
  return buildElf({ machine: elfMachine[arch], data: data.bytes, code });
}
