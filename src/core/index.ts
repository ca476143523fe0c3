export * from "./clock.ts";
export * from "./digest.ts";
export * from "./errors.ts";
export type * from "./events.ts";
export * from "./media-types.ts";
export * from "./platform.ts";
export type * from "./rootfs.ts";
