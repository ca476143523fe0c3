import { setFlagsFromString } from "node:v8";

/** V8's own in Node 20 (`node --v8-options`). Node 22 and later wait seven times as long. */
const usualBudget = 1_800_000;

/**
 * What `compile` makes of WebAssembly is optimized a thousand times later than usual. For undici's parser of HTTP, whose one
 * large function the optimizer of Node 20 takes up at the first answer: 217 ms of a core and 29 MB, and a command that asked a
 * registry one question waits for it at its end. Called by the bundle (`rolldown.config.js`).
 */
export function optimizedLate<Module>(compile: () => Module): Module {
  if (!process.version.startsWith("v20.")) return compile();
  setFlagsFromString(`--wasm-tiering-budget=${String(usualBudget * 1000)}`);
  try {
    return compile();
  } finally {
    // Exactly what it was: V8 takes kept code only where all flags are those with which it was made.
    setFlagsFromString(`--wasm-tiering-budget=${String(usualBudget)}`);
  }
}
