import { openEngine, type Engine, type EngineOptions } from "../engine.ts";

/** The state root, opened when somebody first needs it: many Dockerfiles can be told of without. */
export interface LazyEngine {
  readonly open: () => Promise<Engine>;
  /** Does nothing when it has not been opened. */
  readonly close: () => Promise<void>;
}

export function lazyEngine(options: EngineOptions): LazyEngine {
  let opened: Promise<Engine> | undefined;
  return {
    open: () => (opened ??= openEngine(options)),
    close: async () => (await opened)?.store.close(),
  };
}
