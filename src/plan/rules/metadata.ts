import type {
  MaintainerInstruction,
  OnbuildInstruction,
  StopsignalInstruction,
  UserInstruction,
  VolumeInstruction,
} from "../../dockerfile/index.ts";
import { planError, planErrorAt } from "../errors.ts";
import { formatList } from "../text-formats.ts";
import { addHistory, type RuleScope } from "./rule.ts";

/** Linux signals, without SIG; the 31 real-time ones are counted from both ends. */
const signals = new Set([
  ...(
    "ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP " +
    "TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX"
  ).split(" "),
  ...Array.from({ length: 15 }, (_, index) => `RTMIN+${String(index + 1)}`),
  ...Array.from({ length: 14 }, (_, index) => `RTMAX-${String(index + 1)}`),
]);

export function applyUser(instruction: UserInstruction, { state, expand }: RuleScope): void {
  const user = expand(instruction.user);
  state.image.config = { ...state.image.config, user };
  addHistory(state, `USER ${user}`);
}

export function applyVolume(
  { paths, location }: VolumeInstruction,
  { state, expand }: RuleScope,
): void {
  const volumes = paths.map(expand);
  if (volumes.includes("")) {
    throw planErrorAt(
      location,
      "PLAN_ARGUMENT_INVALID",
      `VOLUME specified can not be an empty string: ${paths.join(" ")}`,
      "give the variable a value, or a default: ${NAME:-/data}",
    );
  }
  for (const volume of volumes) state.image.volumes.add(volume);
  addHistory(state, `VOLUME ${formatList(volumes)}`);
}

export function applyStopsignal(
  instruction: StopsignalInstruction,
  { state, expand }: RuleScope,
): void {
  const stopSignal = expand(instruction.signal);
  if (!isSignal(stopSignal)) {
    throw planError("PLAN_SIGNAL_INVALID", `invalid signal: ${stopSignal}`, {
      hint: "use a name such as SIGTERM or a number such as 15",
      location: instruction.location,
      details: { word: instruction.signal },
    });
  }
  state.image.config = { ...state.image.config, stopSignal };
  addHistory(state, `STOPSIGNAL ${stopSignal}`);
}

export function applyMaintainer({ author }: MaintainerInstruction, { state }: RuleScope): void {
  state.image.author = author;
  addHistory(state, `MAINTAINER ${author}`);
}

/** Only remembered: neither history nor layer. */
export function applyOnbuild({ trigger }: OnbuildInstruction, { state }: RuleScope): void {
  state.image.onBuild.push(trigger);
}

function isSignal(text: string): boolean {
  if (/^[+-]?\d+$/.test(text)) return Number(text) !== 0;
  return signals.has(text.toUpperCase().replace(/^SIG/, ""));
}
