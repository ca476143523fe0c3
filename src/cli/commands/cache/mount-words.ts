import { usageError } from "../../../api/index.ts";
import { formatCount, formatSize } from "../../table.ts";

export const mountsPlaceHelp = `
A PLACE is docker://NAME (a registry), oci:DIR[:REF], oci-archive:FILE[:REF], ./DIR, or
type=s3,bucket=NAME,region=NAME,… as with \`build --cache-to\`.
An ID is what \`id=\` of a mount says, else the path of its target.
`;

/** @throws USAGE */
export function readWords(
  words: readonly string[],
  { mounts }: { readonly mounts?: boolean },
): { readonly ids: readonly string[]; readonly place: string } {
  const place = words.at(-1) ?? "";
  if (mounts === true) return { ids: words.slice(0, -1), place };
  throw usageError(
    "carry a cache: it is not said which",
    "add --mounts for the caches of RUN --mount=type=cache; steps travel by build --cache-to and --cache-from",
  );
}

/** One line about a cache mount. */
export function describeMount(mount: {
  readonly name: { readonly id: string };
  readonly files: number;
  readonly size: number;
}): string {
  const { name, files, size } = mount;
  return `${name.id}: ${formatSize(size)} in ${formatCount(files, "file")}`;
}
