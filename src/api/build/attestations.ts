import type { StepLog } from "../../build/index.ts";
import { splitCsv } from "../../core/index.ts";
import { usageError } from "../errors.ts";
import type { BuildOptions } from "./options.ts";

const kinds = ["provenance", "sbom"] as const;
type Kind = (typeof kinds)[number];

/**
 * What `--attest`, `--provenance` and `--sbom` ask for is not made: whoever asks is told, whoever refuses gets what they
 * want. The last word on a kind counts.
 * @throws USAGE for an `--attest` that names no kind
 */
export function warnOfAttestations(
  options: Pick<BuildOptions, "attestations" | "provenance" | "sbom">,
  steps: Pick<StepLog, "warn">,
): void {
  const wanted = new Map<Kind, boolean>();
  for (const text of options.attestations ?? []) {
    const { kind, isWanted } = parseAttestation(text);
    wanted.set(kind, isWanted);
  }
  for (const kind of kinds) {
    const text = options[kind];
    if (text !== undefined) wanted.set(kind, !isRefusal(splitCsv(text)));
  }
  const missing = kinds.filter((kind) => wanted.get(kind) === true);
  if (missing.length === 0) return;
  steps.warn({
    code: "ATTESTATION_NOT_MADE",
    message: `the image gets no attestation of ${missing.join(" and ")}: tsbuild makes none`,
    hint: missing.map((kind) => `--${kind}=false`).join(" ") + " says that this is meant",
  });
}

function parseAttestation(text: string): { readonly kind: Kind; readonly isWanted: boolean } {
  const fields = splitCsv(text);
  const type = fields.find((field) => field.startsWith("type="))?.slice("type=".length);
  const kind = kinds.find((each) => each === type);
  if (kind !== undefined) return { kind, isWanted: !isRefusal(fields) };
  throw usageError(
    `read attestation ${JSON.stringify(text)}`,
    "write --attest type=provenance or type=sbom",
  );
}

function isRefusal(fields: readonly string[]): boolean {
  return fields.some((field) => /^(?:false|0|disabled(?:=true)?)$/i.test(field));
}
