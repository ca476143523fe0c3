import { unreachable, type JsonValue } from "../../core/index.ts";
import type { FieldChange, FileChange, FilesChange, Reason } from "./reason.ts";

/** A reason in one line, as it is shown behind `why:`. */
export function formatReason(reason: Reason): string {
  switch (reason.type) {
    case "first-time":
      return "first time";
    case "first-here":
      return "first time here, and not in the caches that were named";
    case "no-cache":
      return "asked to run again";
    case "new":
      return "new since the last build";
    case "evicted":
      return "evicted: nothing changed, but the result is not in the cache any more";
    case "lost":
      return "lost: the result is in a cache, but its layers cannot be had from there";
    case "refused":
      return "refused: a cache has a result of it that does not fit";
    case "forgotten":
      return "something changed, but what the last build was made of is not kept any more";
    case "field":
      return formatField(reason);
    case "files":
      return formatFiles(reason);
    case "base": {
      const { previous, current } = reason;
      return previous.reference === current.reference && previous.imageId !== undefined
        ? `base image ${current.reference} changed: ${short(previous.imageId)} -> ${short(current.imageId ?? "")}`
        : `base image changed: ${previous.reference} -> ${current.reference}`;
    }
    case "removed":
      return `${reason.name} is gone`;
    case "moved":
      return `it follows ${reason.current} now, before it followed ${reason.previous}`;
    case "unseen":
      return `nobody knows before ${reason.name} is fetched`;
    case "input":
      return `${formatReason(reason.reason)}; by ${reason.name}`;
    default:
      return unreachable(reason);
  }
}

/** What the fields of keys are to people. */
const fieldNames: Readonly<Record<string, string>> = {
  cwd: "WORKDIR",
  user: "USER",
  network: "network",
  security: "security mode",
  platform: "platform",
  chown: "--chown",
  chmod: "--chmod",
  link: "--link",
  parents: "--parents",
  exclude: "--exclude",
  time: "SOURCE_DATE_EPOCH",
  extraHosts: "--add-host",
  ulimits: "--ulimit",
  shmSize: "--shm-size",
  hostname: "host name",
  cgroupParent: "--cgroup-parent",
};

function formatField({ field, previous, current, was }: FieldChange): string {
  if (field === "instruction") {
    return was === undefined
      ? "SHELL changed, or what a variable in it stands for"
      : `instruction changed, it was: ${cut(was)}`;
  }
  if (field.startsWith("script:")) return "the script of its heredoc changed";
  if (field === "mounts") return "its mounts changed";
  // Not with its values: people pass passwords so, and logs are read by many.
  if (field.startsWith("env.")) {
    const how = previous === undefined ? "is new" : current === undefined ? "is gone" : "changed";
    return `ARG or ENV ${field.slice("env.".length)} ${how}`;
  }
  const [before, now] = [previous, current].map((value) =>
    value === null || value === "" ? undefined : value,
  );
  return formatChange(fieldNames[field] ?? field, before, now);
}

function formatChange(
  name: string,
  previous: JsonValue | undefined,
  current: JsonValue | undefined,
): string {
  if (previous === undefined) return `${name} is new: ${show(current)}`;
  if (current === undefined) return `${name} is gone, it was ${show(previous)}`;
  return `${name} changed: ${show(previous)} -> ${show(current)}`;
}

/** Files that one line names. */
const namedFiles = 3;

/** What became of a file: `added`, `mode 644 -> 755`. */
export function describeChange({ how, previousMode = 0, currentMode = 0 }: FileChange): string {
  switch (how) {
    case "added":
    case "removed":
      return how;
    case "content":
      return "content changed";
    case "mode":
      return `mode ${previousMode.toString(8)} -> ${currentMode.toString(8)}`;
    default:
      return unreachable(how);
  }
}

function formatFiles({ files, changed, total, from }: FilesChange): string {
  const where = from === undefined ? "" : `; from ${from}`;
  const named = files.slice(0, namedFiles).map((file) => `${file.path} (${describeChange(file)})`);
  const [only] = files;
  if (changed === 1 && only !== undefined) return `${only.path}: ${describeChange(only)}${where}`;
  const more = changed > named.length ? ` and ${String(changed - named.length)} more` : "";
  return `${String(changed)} of ${String(total)} files differ: ${named.join(", ")}${more}${where}`;
}

function show(value: JsonValue | undefined): string {
  return cut(JSON.stringify(value ?? null));
}

const longest = 80;

function cut(text: string): string {
  const line = text.replaceAll(/\s*\n\s*/g, " ");
  return line.length > longest ? `${line.slice(0, longest - 1)}…` : line;
}

function short(digest: string): string {
  return digest.slice(0, "sha256:".length + 12);
}
