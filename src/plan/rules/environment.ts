import type {
  ArgInstruction,
  EnvInstruction,
  KeyValue,
  LabelInstruction,
} from "../../dockerfile/index.ts";
import { setEnvironment } from "../stage-state.ts";
import { addHistory, type RuleScope } from "./rule.ts";

/** Build arguments that steer the builder itself and are never exported to RUN. */
const unexportedArgs = new Set(["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"]);

/** All pairs of one instruction see the values from before it. */
export function applyEnv({ pairs }: EnvInstruction, scope: RuleScope): void {
  const expanded = expandPairs(pairs, scope);
  for (const { key, value } of expanded) {
    setEnvironment(scope.state, key, value);
    scope.state.image.env.set(key, value);
  }
  addHistory(scope.state, `ENV ${formatPairs(expanded)}`);
}

export function applyLabel({ pairs }: LabelInstruction, scope: RuleScope): void {
  const expanded = expandPairs(pairs, scope);
  for (const { key, value } of expanded) scope.state.image.labels.set(key, value);
  addHistory(scope.state, `LABEL ${formatPairs(expanded)}`);
}

/**
 * From left to right, so that a default sees earlier names of the same line. A build argument beats the default,
 * which then is not even evaluated; a name without both takes the global value.
 */
export function applyArg(instruction: ArgInstruction, scope: RuleScope): void {
  const { state, options, globalArgs } = scope;
  const texts = instruction.args.map(({ name, defaultValue }) => {
    const given = options.buildArgs.get(name);
    const value =
      given ?? (defaultValue === undefined ? globalArgs.get(name) : scope.expand(defaultValue));
    if (value !== undefined && !unexportedArgs.has(name)) setEnvironment(state, name, value);
    state.args.set(name, value);
    const isInherited = given === undefined && defaultValue === undefined && globalArgs.has(name);
    options.observer?.onArg({ name, value, isInherited, instruction });
    return value === undefined ? name : `${name}=${value}`;
  });
  addHistory(state, `ARG ${texts.join(" ")}`);
}

function expandPairs(pairs: readonly KeyValue[], { expand }: RuleScope): readonly KeyValue[] {
  return pairs.map(({ key, value }) => ({ key: expand(key), value: expand(value) }));
}

function formatPairs(pairs: readonly KeyValue[]): string {
  return pairs.map(({ key, value }) => `${key}=${value}`).join(" ");
}
