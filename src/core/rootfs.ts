/**
 * How to see a stack of snapshots as one root filesystem. Made by `snapshot/`, mounted by `sandbox/` inside the
 * step's own mount namespace (nothing is ever mounted on the host). All paths are absolute.
 *
 * - `overlay`: overlayfs. `lower` is ordered top first; `upper` and `work` are absent for a read-only view.
 * - `directory`: the tree already lies complete in one directory (copy snapshotter).
 */
export type RootfsMount =
  | {
      readonly type: "overlay";
      readonly lower: readonly string[];
      readonly upper?: string;
      readonly work?: string;
    }
  | { readonly type: "directory"; readonly path: string; readonly readOnly: boolean };
