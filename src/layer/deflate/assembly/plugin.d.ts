import type { Plugin } from "rolldown";

/** See plugin.js. */
export const assembly: Plugin;
