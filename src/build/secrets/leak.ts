import type { TsbuildError } from "../../core/index.ts";
import { buildError } from "../errors.ts";
import type { SecretForm } from "./secret-forms.ts";
import type { Sighting } from "./secret-search.ts";

/** Where a secret was met. */
export interface Leak extends Sighting {
  /** Of the step, as progress shows it; undefined for what belongs to no step. */
  readonly step: string | undefined;
  readonly place: LeakPlace;
}

/** Names and paths come with secrets blotted out of them. */
export type LeakPlace =
  /** Absolute path inside the image. */
  | { readonly type: "file" | "file-name" | "link-target"; readonly path: string }
  | { readonly type: "xattr"; readonly path: string; readonly name: string }
  | { readonly type: "output"; readonly stream: "stdout" | "stderr" }
  /** What the step does: its command, its environment, what it writes; it stands in the history and the cache too. */
  | { readonly type: "instruction" }
  /** A member of the image's config, such as `Labels.token`; or a name or annotation that the command line gives. */
  | { readonly type: "config" | "command-line"; readonly member: string };

const shownLeaks = 5;

/** What fails a build: the first leaks in words, all of them in `details.leaks`. The secret itself is nowhere in it. */
export function leakError(leaks: readonly Leak[]): TsbuildError {
  return buildError("BUILD_SECRET_LEAKED", `keep secrets secret: ${describeLeaks(leaks)}`, {
    hint: "read it where the step needs it and write it nowhere; --allow-secret-leak builds all the same",
    details: {
      leaks: leaks.map(({ secret, form, step, place }) => ({
        ...{ secret, form, place: { ...place } },
        ...(step === undefined ? {} : { step }),
      })),
    },
  });
}

/** The first leaks in words, without the secret. */
export function describeLeaks(leaks: readonly Leak[]): string {
  const told = leaks.slice(0, shownLeaks).map(describeLeak).join("; ");
  const more = leaks.length - shownLeaks;
  return more > 0 ? `${told}; and ${more} more` : told;
}

function describeLeak({ secret, form, step, place }: Leak): string {
  const whose = step === undefined ? "" : ` of ${step}`;
  return `secret ${secret} is in ${describePlace(place)}${whose}${formWords[form]}`;
}

const formWords: Readonly<Record<SecretForm, string>> = {
  plain: "",
  base64: ", as base64",
  hex: ", in hex",
  url: ", URL-encoded",
};

function describePlace(place: LeakPlace): string {
  switch (place.type) {
    case "file":
      return `the file ${place.path}`;
    case "file-name":
      return `the name of ${place.path}`;
    case "link-target":
      return `the target of the link ${place.path}`;
    case "xattr":
      return `the extended attribute ${place.name} of ${place.path}`;
    case "output":
      return `the output (${place.stream})`;
    case "instruction":
      return "the instruction or its variables, and so in the history,";
    case "config":
      return `the image's config (${place.member})`;
    case "command-line":
      return place.member;
  }
}
