import { unreachable, type SeccompAction, type SeccompRule } from "../../core/index.ts";
import { defaultSeccompProfile } from "../seccomp-profile.ts";
import type { RuntimeSeccomp } from "./runtime-config.ts";

type Arch = "x64" | "arm64";
type Condition = NonNullable<SeccompRule["conditions"]>[number];
type RuntimeRule = RuntimeSeccomp["syscalls"][number];
type RuntimeArgument = NonNullable<RuntimeRule["args"]>[number];

const architectures: Readonly<Record<Arch, readonly string[]>> = {
  x64: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
  arm64: ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
};

/** The default profile in the words of the runtime spec; the runtime compiles it. */
export function makeRuntimeSeccomp(arch: Arch): RuntimeSeccomp {
  const { defaultAction, rules } = defaultSeccompProfile(arch);
  const { action, errnoRet } = actionOf(defaultAction);
  return {
    defaultAction: action,
    ...(errnoRet === undefined ? {} : { defaultErrnoRet: errnoRet }),
    architectures: architectures[arch],
    syscalls: rules.map(({ names, action: ruleAction, conditions = [] }) => ({
      names,
      ...actionOf(ruleAction),
      args: conditions.map(argumentOf),
    })),
  };
}

function actionOf(action: SeccompAction): { readonly action: string; readonly errnoRet?: number } {
  return action.type === "allow"
    ? { action: "SCMP_ACT_ALLOW" }
    : { action: "SCMP_ACT_ERRNO", errnoRet: action.errno };
}

function argumentOf(condition: Condition): RuntimeArgument {
  const { index, value } = condition;
  switch (condition.operator) {
    case "less":
      return { index, value, op: "SCMP_CMP_LT" };
    case "equal":
      return { index, value, op: "SCMP_CMP_EQ" };
    case "greater":
      return { index, value, op: "SCMP_CMP_GT" };
    case "maskedEqual":
      // Here `value` is the mask, and what the masked argument is compared with comes second.
      return { index, value: condition.mask, valueTwo: value, op: "SCMP_CMP_MASKED_EQ" };
    default:
      return unreachable(condition);
  }
}
