import { closeSync, openSync, readFileSync, unlinkSync } from "node:fs";
import { coreError } from "../errors.ts";
import { loadKoffi } from "./koffi.ts";

/** What happens to a system call: it runs, or answers an errno without running. */
export type SeccompAction =
  { readonly type: "allow" } | { readonly type: "errno"; readonly errno: number };

/** A condition on argument number `index`; for `maskedEqual`, `value` is compared with the argument's bits in `mask`. */
export type SeccompCondition =
  | {
      readonly index: number;
      readonly operator: "less" | "equal" | "greater";
      readonly value: number;
    }
  | {
      readonly index: number;
      readonly operator: "maskedEqual";
      readonly mask: number;
      readonly value: number;
    };

/** `action` for each of `names`, when all conditions hold. */
export interface SeccompRule {
  readonly names: readonly string[];
  readonly action: SeccompAction;
  readonly conditions?: readonly SeccompCondition[];
}

export interface SeccompRequest {
  /** For calls that no rule names. */
  readonly defaultAction: SeccompAction;
  readonly rules: readonly SeccompRule[];
  /** Architectures beside this machine's own, as audit numbers (`AUDIT_ARCH_*`, libseccomp's `SCMP_ARCH_*`). */
  readonly moreArchitectures: readonly number[];
  /** A path where nothing is yet; the library writes to a file only. Removed again. */
  readonly scratchPath: string;
}

export interface SeccompProgram {
  /** Classic BPF, eight bytes an instruction. */
  readonly bytes: Uint8Array;
  /** Names of the request that the library does not know; their rules are not in the program. */
  readonly unknownNames: readonly string[];
}

const operators = { less: 2, equal: 4, greater: 6, maskedEqual: 7 } as const;
const errnoAction = 0x00050000;
const allowAction = 0x7fff0000;
/** `SCMP_FLTATR_CTL_OPTIMIZE`: a binary tree instead of a list (2.5 and later). */
const optimizeAttribute = 8;
const binaryTree = 2;
const unknownSyscall = -1;
const EEXIST = 17;

/**
 * Compiles rules with the machine's libseccomp.so.2; undefined when there is none.
 * @throws SYSCALLS_UNAVAILABLE when koffi is missing, SYSCALL_FAILED when the library refuses
 */
export function compileSeccomp(request: SeccompRequest): SeccompProgram | undefined {
  const library = openSeccomp();
  if (library === undefined) return undefined;
  const filter = library.init(actionNumber(request.defaultAction));
  if (filter === null) throw failed("seccomp_init", 0);
  try {
    for (const architecture of request.moreArchitectures) {
      check("seccomp_arch_add", library.addArchitecture(filter, architecture), EEXIST);
    }
    // Older libraries do not know the attribute and make the slower, equal program.
    library.setAttribute(filter, optimizeAttribute, binaryTree);
    const unknownNames = request.rules.flatMap((rule) => addRule({ library, filter, rule }));
    return { bytes: exportProgram({ library, filter, path: request.scratchPath }), unknownNames };
  } finally {
    library.release(filter);
  }
}

type Filter = object;

interface SeccompLibrary {
  init(action: number): Filter | null;
  addArchitecture(filter: Filter, architecture: number): number;
  setAttribute(filter: Filter, attribute: number, value: number): number;
  resolve(name: string): number;
  addRule(
    filter: Filter,
    action: number,
    syscall: number,
    conditionCount: number,
    conditions: Uint8Array | null,
  ): number;
  exportBpf(filter: Filter, fd: number): number;
  release(filter: Filter): void;
}

function openSeccomp(): SeccompLibrary | undefined {
  const koffi = loadKoffi();
  const load = () => {
    try {
      return koffi.load("libseccomp.so.2");
    } catch {
      return undefined; // not installed: koffi has no other way to tell
    }
  };
  const library = load();
  if (library === undefined) return undefined;
  return {
    init: library.func("void *seccomp_init(uint32_t action)"),
    addArchitecture: library.func("int seccomp_arch_add(void *filter, uint32_t arch)"),
    setAttribute: library.func("int seccomp_attr_set(void *filter, int attr, uint32_t value)"),
    resolve: library.func("int seccomp_syscall_resolve_name(const char *name)"),
    addRule: library.func(
      "int seccomp_rule_add_array(void *filter, uint32_t action, int syscall, unsigned int count, const void *args)",
    ),
    exportBpf: library.func("int seccomp_export_bpf(void *filter, int fd)"),
    release: library.func("void seccomp_release(void *filter)"),
  };
}

/** Adds what the library knows; answers the names that it does not. */
function addRule(add: {
  readonly library: SeccompLibrary;
  readonly filter: Filter;
  readonly rule: SeccompRule;
}): readonly string[] {
  const { library, filter, rule } = add;
  const conditions = rule.conditions ?? [];
  const packed = conditions.length === 0 ? null : Buffer.concat(conditions.map(packCondition));
  return rule.names.filter((name) => {
    const syscall = library.resolve(name);
    if (syscall === unknownSyscall) return true;
    const action = actionNumber(rule.action);
    const result = library.addRule(filter, action, syscall, conditions.length, packed);
    check(`seccomp_rule_add ${name}`, result, EEXIST);
    return false;
  });
}

/** struct scmp_arg_cmp: argument, operator, two 64-bit values; a masked comparison has the mask first. */
function packCondition(condition: SeccompCondition): Buffer {
  const packed = Buffer.alloc(24);
  packed.writeUInt32LE(condition.index, 0);
  packed.writeUInt32LE(operators[condition.operator], 4);
  const isMasked = condition.operator === "maskedEqual";
  packed.writeBigUInt64LE(BigInt(isMasked ? condition.mask : condition.value), 8);
  packed.writeBigUInt64LE(BigInt(isMasked ? condition.value : 0), 16);
  return packed;
}

function exportProgram(target: {
  readonly library: SeccompLibrary;
  readonly filter: Filter;
  readonly path: string;
}): Uint8Array {
  const fd = openSync(target.path, "wx+", 0o600);
  try {
    check("seccomp_export_bpf", target.library.exportBpf(target.filter, fd));
    return readFileSync(target.path);
  } finally {
    closeSync(fd);
    unlinkSync(target.path);
  }
}

function actionNumber(action: SeccompAction): number {
  return action.type === "allow" ? allowAction : errnoAction | action.errno;
}

/** The library answers -errno; an architecture or a rule that is there already is no failure. */
function check(what: string, result: number, harmless?: number): void {
  if (result < 0 && -result !== harmless) throw failed(what, -result);
}

function failed(what: string, errno: number): Error {
  return coreError("SYSCALL_FAILED", `compile a seccomp filter: ${what}: errno ${String(errno)}`, {
    details: { syscall: what, errno },
  });
}
