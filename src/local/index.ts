export type { LocalErrorCode } from "./errors.ts";
export { openLocalImages } from "./local-images.ts";
export type * from "./types.ts";
