export type { EscapeCharacter } from "./characters.ts";
export { dockerfileError, type DockerfileErrorCode } from "./errors.ts";
export { parseDockerfile, type ParseObserver, type ParseOptions } from "./parse-dockerfile.ts";
export { parseInstruction } from "./parse-instruction.ts";
export {
  expandWord,
  processWord,
  type Lookup,
  type ProcessedWord,
  type ProcessWordOptions,
} from "./process-word.ts";
export { formatDockerfile } from "./format-dockerfile.ts";
export { locateText, pinpointWord } from "./locate-text.ts";
export { chompHeredoc, parseHeredocMarker } from "./heredoc.ts";
export { describeName } from "./describe.ts";
export * from "./lint/index.ts";
export { didYouMean, suggest, withSuggestion } from "./suggest.ts";
export type * from "./types.ts";
