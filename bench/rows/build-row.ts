import { join } from "node:path";
import type { Engine } from "../engines/engine.ts";
import type { Workspace } from "../workspace.ts";
import type { Contestant, PreparedRow } from "./row.ts";

/** The cheapest thing that a program written for Node can do. */
export const emptyNode = {
  what: "an empty Node process",
  command: () => [process.execPath, "-e", "0"],
};

/** Every engine builds the same context. */
export function buildingAll(options: {
  readonly name: string;
  readonly context: string;
  readonly fresh: boolean;
  readonly reset?: () => void | Promise<void>;
  readonly floor: PreparedRow["floor"];
}): PreparedRow {
  const { name, context, fresh, reset, floor } = options;
  return {
    contestant: (engine) => ({
      ...resetting(reset),
      command: () => engine.build({ context, tag: `bench-${name}:1`, fresh }),
    }),
    floor,
  };
}

/** `cp -r` of a folder to a new place. */
export function copyingFloor(workspace: Workspace, source: string): PreparedRow["floor"] {
  let copy = join(workspace.directory, "copy");
  return {
    what: "cp -r",
    reset: async () => {
      copy = join(await workspace.folder("copy"), "tree");
    },
    command: () => ["cp", "-r", source, copy],
  };
}

/** Spread into a contestant. */
export function resetting(reset?: () => void | Promise<void>): Pick<Contestant, "reset"> {
  if (reset === undefined) return {};
  return {
    reset: async () => {
      await reset();
    },
  };
}

export function isTsbuild(engine: Engine): boolean {
  return engine.name === "tsbuild";
}
