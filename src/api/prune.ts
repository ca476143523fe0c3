import { join } from "node:path";
import type { ChainId, Digest } from "../core/index.ts";
import { listContainers, removeContainer } from "../runtime/index.ts";
import { openEngine, withEngine, type Engine, type EngineOptions } from "./engine.ts";
import { apiError } from "./errors.ts";
