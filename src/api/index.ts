export { loadImages, saveImages, type LoadedImage, type SaveFormat } from "./archive.ts";
export { build } from "./build/build.ts";
export {
  exportCacheMounts,
  type ExportCacheMountsOptions,
  type ExportedCacheMounts,
} from "./cache-mounts/export.ts";
export {
  importCacheMounts,
  type ImportCacheMountsOptions,
  type ImportedCacheMounts,
} from "./cache-mounts/import.ts";
export {
  diffImages,
  type ComparedImage,
  type DifferingLayer,
  type ImageDiff,
} from "./diff-images.ts";
export { mutateImage, type MutateImageOptions } from "./mutate/mutate-image.ts";
export {
  checkDockerfile,
  toCheckDocument,
  type CheckDocument,
  type CheckResult,
} from "./call/check.ts";
export { explainContextPaths } from "./context/explain-path.ts";
export { inspectContext } from "./context/inspect-context.ts";
export type * from "./context/types.ts";
export { describeCalls, type CallDescription } from "./call/describe.ts";
export {
  outlineDockerfile,
  toOutlineDocument,
  type OutlineDocument,
  type OutlineResult,
} from "./call/outline.ts";
export { parseCall, type Call, type CallMethod } from "./call/parse-call.ts";
export {
  listTargets,
  toTargetsDocument,
  type TargetsDocument,
  type TargetsResult,
} from "./call/targets.ts";
export { drawGraph, graphFormats, type GraphFormat } from "./graph/draw-graph.ts";
export { graphBuild } from "./graph/read-graph.ts";
export type * from "./graph/types.ts";
export { checkReproducible } from "./build/check-reproducible.ts";
export { copyImage, type CopiedImage, type CopyImageOptions } from "./copy-image.ts";
export { differencesOf, formatDifference } from "./compare/format-difference.ts";
export type { BuildOptions, BuildResult } from "./build/options.ts";
export {
  pullImage,
  pushImage,
  pushRepository,
  type PulledImage,
  type PushedImage,
  type PushImageOptions,
} from "./distribution.ts";
export { examine, type DoctorReport, type DoctorRow } from "./doctor/doctor.ts";
export type { EngineOptions } from "./engine.ts";
export { defaultRoot } from "../store/index.ts";
export { isUsageError, usageError, type ApiErrorCode } from "./errors.ts";
export { forecastBuild } from "./forecast/forecast-build.ts";
export {
  toForecastDocument,
  wouldRun,
  type ForecastDocument,
  type ForecastedStep,
} from "./forecast/document.ts";
export {
  describeChange,
  formatReason,
  type Estimate,
  type FileChange,
  type Forecast,
  type ForecastOutcome,
  type ForecastStep,
  type Reason,
} from "../build/index.ts";
export {
  listImages,
  removeImages,
  tagImage,
  type ImageRow,
  type RemovedNames,
  type RemoveImagesOptions,
} from "./images.ts";
export { imageHistory, inspectImages, type HistoryRow, type InspectedImage } from "./inspect.ts";
export { inspectPlace, readDocument, type InspectPlaceOptions } from "./inspect-place.ts";
export { listTags, type ListTagsOptions } from "./list-tags.ts";
export {
  addToList,
  annotateList,
  createList,
  listExists,
  removeFromList,
  removeLists,
  type ListedDetails,
} from "./manifests/edit-list.ts";
export {
  inspectIndex,
  type InspectedIndex,
  type InspectIndexOptions,
} from "./manifests/inspect-index.ts";
export { inspectList, type InspectListOptions } from "./manifests/inspect-list.ts";
export {
  createIndex,
  type CreatedIndex,
  type CreateIndexOptions,
} from "./manifests/create-index.ts";
export { pushList, type PushListOptions } from "./manifests/push-list.ts";
export {
  attachArtifact,
  type AttachArtifactOptions,
  type AttachedArtifact,
} from "./referrers/attach-artifact.ts";
export {
  listArtifacts,
  type ListArtifactsOptions,
  type ListedArtifacts,
} from "./referrers/list-artifacts.ts";
export { removeRemote, type RemovedRemote, type RemoveRemoteOptions } from "./remove-remote.ts";
export { logIn, logOut, type ForgottenLogin, type SavedLogin } from "./login.ts";
export {
  parseCacheFrom,
  parseCacheTo,
  type CachePlaceSpec,
  type CacheSource,
  type CacheTarget,
} from "./build/cache/cache-spec.ts";
export { parseOutput } from "./output/parse-output.ts";
export { outputFailed } from "./output/places.ts";
export type { OutputSpec } from "./output/types.ts";
export type { CacheItem, ItemKey } from "./cache/cache-item.ts";
export type { CacheTotals } from "./cache/choose-pruned.ts";
export {
  inspectCache,
  type InspectedFile,
  type InspectedItem,
  type InspectedKey,
} from "./cache/inspect-cache.ts";
export { listCache, type CacheListing } from "./cache/list-cache.ts";
export {
  pruneBuilder,
  type PruneCacheOptions,
  type PruneCacheReport,
} from "./cache/prune-cache.ts";
export type { PruneReport } from "./free-space.ts";
export { pruneSystem, systemUsage, type UsageRow } from "./prune.ts";
export { runContainer, runFailureExitCode, type RunContainerOptions } from "./run.ts";
export { verifySystem, type SystemVerification } from "./verify.ts";
export { version } from "./version.ts";
