import { openSandbox } from "../../src/sandbox/index.ts";
import { sandboxContract } from "../contract/sandbox-contract.ts";

sandboxContract("builtin", (places) => openSandbox("builtin", places), {
  kill: { isolation: "builtin", rounds: 150, withinMs: 60 },
});
