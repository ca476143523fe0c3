export { layerError, type LayerErrorCode } from "./errors.ts";
export {
  baseName,
  components,
  joinRootPath,
  parentRootPath,
  resolvePath,
  rootPath,
  rootPathToString,
  toRootPath,
} from "./paths.ts";
export type * from "./types.ts";
