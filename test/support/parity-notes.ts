const noCacheExport =
  "there is no import and export of caches yet; it does not change what a Dockerfile builds";

/**
 * Statements of docs/spec/dockerfile.md and docs/spec/registry.md that are not simply true here: what differs and why, in words for the table in
 * docs/parity.md. A deviation has a test all the same, which shows what tsbuild does instead.
 */
export const parityNotes: Readonly<
  Record<string, { readonly state: "deviates" | "not applicable"; readonly why: string }>
> = {
  "6.19": {
    state: "not applicable",
    why: noCacheExport,
  },
  "6.20": {
    state: "not applicable",
    why: noCacheExport,
  },
  "6.21": {
    state: "not applicable",
    why: noCacheExport,
  },
  "7.4": {
    state: "deviates",
    why: "estargz, name-canonical and prefer-nondist-layers are refused by name; the rest is as it says, zstd with every level too",
  },
  "7.7": {
    state: "deviates",
    why: "tsbuild makes no attestations; whoever asks for one is warned",
  },
  "R5.10": {
    state: "not applicable",
    why: "this machine counts as plain amd64, as it does with docker: what is built or pulled here without --platform is for every amd64, and amd64/v2 to v4 is taken when it is asked for",
  },
  "7.8": {
    state: "deviates",
    why: "tsbuild makes no provenance, so an image of one platform is a plain manifest without --provenance=false",
  },
  "R2.19": {
    state: "deviates",
    why: "podman and skopeo look short names up as registries.conf says; here a Dockerfile means the same on every machine, as it does with docker",
  },
};
