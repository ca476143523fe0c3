import { unreachable } from "../../core/index.ts";
import type { CallList } from "./call-list.ts";
import * as linux from "./linux.ts";
import type { OpOf } from "./ops.ts";
import { nameLayersRelatively, overlayOptionString } from "./overlay-options.ts";
import type { Argument } from "./program.ts";
import { at, longsDatum, textDatum } from "./program.ts";

type MountOp = OpOf<
  | "make-mounts-private"
  | "open-tree"
  | "open-overlay"
  | "attach"
  | "mount"
  | "make-read-only"
  | "unmount"
  | "pivot-root"
>;

const { cwd, emptyPath, recursive } = linux.atFlag;
const emptyText = textDatum("");

/** The ops that touch mounts, by the descriptor-based mount interface of Linux 5.2 and 5.12. */
export function lowerMountOp(list: CallList, op: MountOp): void {
  switch (op.type) {
    case "make-mounts-private": {
      const flags = linux.mountFlag.recursive | linux.mountFlag.private;
      return list.add("mount", [0, at(textDatum("/")), 0, flags, 0]);
    }
    case "open-tree":
      return list.hold(op.as, openTree(list, op));
    case "open-overlay":
      return list.hold(op.as, openOverlay(list, op));
    case "attach": {
      const fd = list.held(op.from);
      return attach(list, { fd, target: op.target, follow: op.follow });
    }
    case "mount": {
      const fd = openFilesystem(list, op);
      return attach(list, { fd, target: op.target, follow: op.follow });
    }
    case "make-read-only": {
      const attributes = linux.mountAttribute.readOnly;
      const fd = openTree(list, { source: op.target, recursive: true, attributes });
      return attach(list, { fd, target: op.target, follow: false });
    }
    case "unmount":
      return list.add("umount2", [at(textDatum(op.target)), linux.unmountDetach]);
    case "pivot-root":
      return pivotRoot(list, op);
    default:
      return unreachable(op);
  }
}

function openTree(
  list: CallList,
  tree: Pick<OpOf<"open-tree">, "source" | "beneath" | "recursive" | "attributes">,
): number {
  const depth = tree.recursive ? recursive : 0;
  const flags = linux.openTree.clone | linux.openTree.closeOnExec | depth;
  const fd =
    tree.beneath === undefined
      ? list.open("open_tree", [cwd, at(textDatum(tree.source)), flags])
      : list.open("open_tree", [
          openBeneath(list, tree.source, tree.beneath),
          at(emptyText),
          flags | emptyPath,
        ]);
  setAttributes(list, { fd, depth, attributes: tree.attributes });
  return fd;
}

/** Others may be changing what lies there, so that only the kernel can look a path up and stay inside. */
function openBeneath(list: CallList, source: string, beneath: string): number {
  const flags = linux.openFlag.path | linux.openFlag.closeOnExec;
  const { beneath: below, noMagicLinks } = linux.resolveFlag;
  // struct open_how: flags, mode, resolve.
  const root = at(longsDatum([flags, 0, 0]));
  const directory = list.open("openat2", [cwd, at(textDatum(source)), root, 24]);
  const how = at(longsDatum([flags, 0, below | noMagicLinks]));
  return list.open("openat2", [directory, at(textDatum(beneath)), how, 24]);
}

function setAttributes(
  list: CallList,
  mount: { readonly fd: number; readonly depth: number; readonly attributes: number },
): void {
  if (mount.attributes === 0) return;
  // struct mount_attr: attributes to set, to clear, propagation, user namespace.
  const change = longsDatum([mount.attributes, 0, 0, 0]);
  const flags = emptyPath | mount.depth;
  list.add("mount_setattr", [mount.fd, at(emptyText), flags, at(change), 32]);
}

/** Symlinks of the image never lead outside, since its root is the root; magic links could lead to held descriptors. */
function attach(
  list: CallList,
  mount: { readonly fd: number; readonly target: string; readonly follow: boolean },
): void {
  const resolve = mount.follow ? linux.resolveFlag.noMagicLinks : linux.resolveFlag.noSymlinks;
  // struct open_how: flags, mode, resolve.
  const how = longsDatum([linux.openFlag.path | linux.openFlag.closeOnExec, 0, resolve]);
  const target = list.open("openat2", [cwd, at(textDatum(mount.target)), at(how), 24]);
  const flags = linux.moveMount.fromEmptyPath | linux.moveMount.toEmptyPath;
  list.add("move_mount", [mount.fd, at(emptyText), target, at(emptyText), flags]);
}

function openFilesystem(
  list: CallList,
  op: Pick<OpOf<"mount">, "filesystem" | "options" | "attributes">,
): number {
  const fs = list.open("fsopen", [at(textDatum(op.filesystem)), linux.fsopenCloseOnExec]);
  setOption(list, { fs, key: "source", value: op.filesystem });
  for (const [key, value] of op.options) setOption(list, { fs, key, value });
  return createMount(list, { fs, attributes: op.attributes });
}

function setOption(
  list: CallList,
  option: { readonly fs: number; readonly key: string; readonly value?: string },
): void {
  const { setFlag, setString } = linux.fsconfig;
  const [command, value]: [number, Argument] =
    option.value === undefined ? [setFlag, 0] : [setString, at(textDatum(option.value))];
  list.add("fsconfig", [option.fs, command, at(textDatum(option.key)), value, 0]);
}

function createMount(list: CallList, mount: { fs: number; attributes: number }): number {
  list.add("fsconfig", [mount.fs, linux.fsconfig.create, 0, 0, 0]);
  return list.open("fsmount", [mount.fs, linux.fsmountCloseOnExec, mount.attributes]);
}

function openOverlay(list: CallList, op: OpOf<"open-overlay">): number {
  return op.interface === "layers" ? openOverlayByLayers(list, op) : openOverlayByString(list, op);
}

/**
 * Each directory is named "." after a chdir: option values end at 255 bytes and treat some characters specially, and
 * the names are readable in the container's /proc/self/mountinfo.
 */
function openOverlayByLayers(list: CallList, op: OpOf<"open-overlay">): number {
  const fs = list.open("fsopen", [at(textDatum("overlay")), linux.fsopenCloseOnExec]);
  setOption(list, { fs, key: "source", value: "overlay" });
  const addDirectory = (key: string, path: string): void => {
    list.add("chdir", [at(textDatum(path))]);
    setOption(list, { fs, key, value: "." });
  };
  for (const path of op.lower) addDirectory("lowerdir+", path);
  if (op.writable !== undefined) {
    addDirectory("upperdir", op.writable.upper);
    addDirectory("workdir", op.writable.work);
  }
  for (const [key, value] of overlayOptions(op)) {
    setOption(list, value === undefined ? { fs, key } : { fs, key, value });
  }
  const fd = createMount(list, { fs, attributes: op.attributes });
  list.add("chdir", [at(textDatum("/"))]);
  return fd;
}

/** The old interface mounts at a place at once, so that place is the upmost layer, and only for a moment. */
function openOverlayByString(list: CallList, op: OpOf<"open-overlay">): number {
  const { parent, layers } = nameLayersRelatively(op);
  list.add("chdir", [at(textDatum(parent))]);
  const options = overlayOptionString({ layers, options: overlayOptions(op) });
  const overlay = at(textDatum("overlay"));
  const place = op.writable?.work ?? op.lower[0] ?? parent;
  list.add("mount", [overlay, at(textDatum(place)), overlay, 0, at(textDatum(options))]);
  const fd = openTree(list, { source: place, recursive: false, attributes: op.attributes });
  list.add("umount2", [at(textDatum(place)), linux.unmountDetach]);
  list.add("chdir", [at(textDatum("/"))]);
  return fd;
}

/**
 * Without the first three a layer made by a stranger could redirect lookups by its xattrs. `volatile` skips syncing the
 * upper directory: its durability is the snapshotter's business.
 */
function overlayOptions(op: OpOf<"open-overlay">): readonly [key: string, value?: string][] {
  const safety: [string, string][] = [
    ["redirect_dir", "nofollow"],
    ["metacopy", "off"],
    ["index", "off"],
  ];
  return op.writable === undefined ? safety : [...safety, ["volatile"]];
}

/**
 * pivot_root(".", ".") puts the old root on top of the new one, at the same place, so that no directory is needed for
 * it; the working directory then is the way to take it off.
 * @see pivot_root(2), "pivot_root(".", ".")"
 */
function pivotRoot(list: CallList, op: OpOf<"pivot-root">): void {
  const root = list.held(op.root);
  const flags = linux.moveMount.fromEmptyPath;
  list.add("move_mount", [root, at(emptyText), cwd, at(textDatum(op.staging)), flags]);
  list.add("fchdir", [root]);
  const here = at(textDatum("."));
  list.add("pivot_root", [here, here]);
  list.add("umount2", [here, linux.unmountDetach]);
  list.add("chdir", [at(textDatum("/"))]);
}
