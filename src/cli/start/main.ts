import { join } from "node:path";
import type * as cli from "../main.ts";
import { noCodeCache, openCodeCache } from "./code-cache.ts";
import { findGroup } from "./code-group.ts";
import { findRoot } from "./find-root.ts";
import { type Require, ScriptLoader } from "./script-loader.ts";

/** This file is CommonJS once it is built. */
declare const require: Require;

const args = process.argv.slice(2);
const root = findRoot(args);
const group = findGroup(args);
const cache = root === undefined ? noCodeCache : openCodeCache(root, group);
const loader = new ScriptLoader({ cache, require });
const { main } = loader.load(join(import.meta.dirname, "cli.js")) as typeof cli;

void main(args).then((kinds) => {
  const [command = ""] = kinds;
  // A word may have been taken for a command's name.
  if (findGroup(command.split(" ")) === group) loader.keepCode(kinds);
  // Nothing is left to be done, and Node takes some milliseconds to find that out for itself.
  process.exit();
});
