export { copyTree } from "./copy-node.ts";
export { snapshotError, type SnapshotErrorCode } from "./errors.ts";
export { makeDirectories, type DirectoryAttributes } from "./make-directories.ts";
export { prepareMountPoints, type MountPoint, type PreparedMountPoints } from "./mount-points.ts";
export { openSnapshotter, type OpenSnapshotterOptions } from "./open-snapshotter.ts";
export { openSkeleton, type SkeletonStub } from "./skeleton.ts";
export { openTreeWriter } from "./tree-writer.ts";
export type * from "./types.ts";
export { runWriteJob, type WriteJob } from "./write-job.ts";
