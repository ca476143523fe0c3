import type { Op } from "./ops.ts";

/** One line for people, for example "mount proc on /proc". */
export function describeOp(op: Op): string {
  switch (op.type) {
    case "open-tree":
      return `open ${op.source} as ${op.as}`;
    case "open-overlay":
      return `mount overlay of ${op.lower.length} layers`;
    case "attach":
      return `mount on ${op.target}`;
    case "mount":
      return `mount ${op.filesystem} on ${op.target}`;
    case "make-read-only":
      return `make ${op.target} read-only`;
    case "make-mount-point":
      return `make a mount point at ${op.path}`;
    case "unmount":
      return `unmount ${op.target}`;
    case "limit-resource":
      return `limit resource ${op.resource} to ${op.soft}:${op.hard}`;
    case "write-file":
    case "mkdir":
    case "symlink":
    case "chdir":
    case "change-root":
    case "hold-file":
      return `${op.type} ${op.path}`;
    case "exec":
      return `exec ${op.argv[0] ?? ""}`;
    case "fork":
      return `fork into new namespaces (${op.namespaces.join(", ")})`;
    case "set-user":
      return `change to user ${op.uid}:${op.gid}`;
    case "sethostname":
      return `set hostname ${op.hostname}`;
    default:
      return op.type.replaceAll("-", " ");
  }
}
