/**
 * Statements of docs/spec/dockerfile.md and docs/spec/registry.md that are not simply true here: what differs and why, in words for the table in
 * docs/parity.md. A deviation has a test all the same, which shows what tsbuild does instead.
 */
export const parityNotes: Readonly<
  Record<string, { readonly state: "deviates" | "not applicable"; readonly why: string }>
> = {
  "6.19": {
    state: "deviates",
    why: "gha and azblob are refused; a cache in an image has a key of its own in the config, because BuildKit's records name steps by digests that mean nothing here",
  },
  "6.20": {
    state: "deviates",
    why: "estargz is refused; the rest is as it says",
  },
  "6.21": {
    state: "deviates",
    why: "the config document is tsbuild's own, of its own type; a cache of BuildKit is told as a warning and left alone",
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
  "R1.7": {
    state: "deviates",
    why: "other algorithms may stand in a name or descriptor elsewhere, where they are copied unverified; nothing is taken here that cannot be verified",
  },
  "R2.8": {
    state: "deviates",
    why: "the capability push of another host is not obeyed: what is written goes to the registry that the name tells; dial_timeout is not read",
  },
  "R2.9": {
    state: "deviates",
    why: "containerd goes on with the certificates of the folder; here a slip of the pen does not change where images come from",
  },
  "R3.1": {
    state: "deviates",
    why: "docker takes auths and nothing else out of DOCKER_AUTH_CONFIG; here it is a document like the files, helpers included",
  },
  "R3.15": {
    state: "deviates",
    why: "issued_at of the answer is not looked at: the time counts from its arrival, whatever the clocks say",
  },
  "R3.23": {
    state: "deviates",
    why: "names are not looked up for this, since a proxy may know other addresses for them: a name of one's own DNS that leads inside is followed, by crane as well",
  },
  "R8.1": {
    state: "deviates",
    why: "registries that do not compare (If-Match) leave a race: whoever read the tag before we wrote it and writes after we looked at it again (five times as long as our writing took, 200 ms at least) takes our entry out, as does a client that never looks; attaching the same again, or image cp --referrers, puts it back",
  },
  "R4.19": {
    state: "deviates",
    why: "containerd 2.1 fetches large blobs in several ranges at once, where each connection is slowed down; here layers come beside each other, and a layer that breaks off goes on where it was",
  },
  "R7.9": {
    state: "deviates",
    why: "the specification allows it, and lets registries answer 202 all the same, after which the blob is sent again; docker, containerd and crane do without",
  },
  "R7.17": {
    state: "deviates",
    why: "the next version of the specification allows several tags in one PUT, and asks for this way where they are not confirmed",
  },
  "R2.19": {
    state: "deviates",
    why: "podman and skopeo look short names up as registries.conf says; here a Dockerfile means the same on every machine, as it does with docker",
  },
};
