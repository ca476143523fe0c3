import { parseReference, withDefaultTag, type Reference } from "../../core/index.ts";
import { usageError } from "../errors.ts";

/**
 * Where an image is, or is to be, as people write it:
 *
 * - `docker://NAME`: a registry;
 * - `oci:DIR[:REF]`: the directory of an OCI layout; `ocidir://DIR[:REF]` is another spelling;
 * - `oci-archive:FILE[:REF]`: a tar of one;
 * - `docker-archive:FILE[:REF|:@N]`: what `docker save` writes; `@N` is the image of that number, counted from 0;
 * - `dir:DIR`: the plain files of one image;
 * - anything else is a name or an ID in the local store.
 *
 * `text` is how it was written, for messages.
 */
export type Place =
  | { readonly type: "store"; readonly text: string; readonly name: string }
  | { readonly type: "registry"; readonly text: string; readonly reference: Reference }
  | {
      readonly type: "layout" | "oci-archive";
      readonly text: string;
      readonly path: string;
      readonly ref?: string;
    }
  | {
      readonly type: "docker-archive";
      readonly text: string;
      readonly path: string;
      readonly ref?: string;
      readonly number?: number;
    }
  | { readonly type: "directory"; readonly text: string; readonly path: string };

/** The local store's name of an image that is called like a kind of place has to be written with its registry. */
const transports = [
  "docker://",
  "ocidir://",
  "oci:",
  "oci-archive:",
  "docker-archive:",
  "dir:",
] as const;

/** Places of other tools, with what they keep in them of their own. */
const foreign =
  /^(?:docker-daemon:|containers-storage:|ostree:|sif:|tarball:|[a-z][a-z0-9+.-]*:\/\/)/;

/** @throws USAGE, REFERENCE_INVALID */
export function parsePlace(text: string): Place {
  const transport = transports.find((each) => text.startsWith(each));
  if (transport === undefined) {
    const kind = foreign.exec(text)?.[0];
    if (kind !== undefined) throw foreignPlace(text, kind);
    return { type: "store", text, name: text };
  }
  const rest = text.slice(transport.length);
  if (rest === "") throw emptyPlace(text);
  switch (transport) {
    case "docker://":
      return { type: "registry", text, reference: withDefaultTag(parseReference(rest)) };
    case "oci:":
    case "ocidir://":
      return { type: "layout", text, ...splitPath(text, rest) };
    case "oci-archive:":
      return { type: "oci-archive", text, ...splitPath(text, rest) };
    case "docker-archive:":
      return { type: "docker-archive", text, ...withNumber(text, splitPath(text, rest)) };
    case "dir:":
      return { type: "directory", text, path: rest };
  }
}

/** The first colon ends the path, as it does for other tools; `./` is of no help, a path with colons cannot be named. */
function splitPath(text: string, rest: string): { readonly path: string; readonly ref?: string } {
  const colon = rest.indexOf(":");
  if (colon < 0) return { path: rest };
  const path = rest.slice(0, colon);
  const ref = rest.slice(colon + 1);
  if (path === "" || ref === "") throw emptyPlace(text);
  return { path, ref };
}

function withNumber(
  text: string,
  place: { readonly path: string; readonly ref?: string },
): { readonly path: string; readonly ref?: string; readonly number?: number } {
  const { path, ref } = place;
  if (ref?.startsWith("@") !== true) return place;
  const number = Number(ref.slice(1));
  if (/^@\d+$/.test(ref) && Number.isSafeInteger(number)) return { path, number };
  throw usageError(
    `read the place ${text}`,
    "behind the file stands a name, or @ and the number of an image, counted from 0",
  );
}

const kinds =
  "docker://NAME, oci:DIR:TAG, oci-archive:FILE:TAG, docker-archive:FILE:NAME, dir:DIR, or a name in the local store";

function emptyPlace(text: string): Error {
  return usageError(`read the place ${text}: a part of it is empty`, `write ${kinds}`);
}

function foreignPlace(text: string, kind: string): Error {
  return usageError(
    `read the place ${text}: ${kind} is not known`,
    kind === "docker-daemon:" || kind === "containers-storage:"
      ? "have that tool save the image to a file, and name it: docker-archive:FILE"
      : `write ${kinds}`,
  );
}
