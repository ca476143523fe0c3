/** One step of a build as `--progress rawjson` told it; times are milliseconds since the epoch. */
export interface ToldStep {
  readonly name: string;
  readonly outcome: "cached" | "done" | "failed" | "canceled" | "unfinished";
  readonly started: number;
  readonly ended: number;
}

interface RawEvent {
  readonly type: string;
  readonly step?: number;
  readonly name?: string;
  readonly time?: number;
  readonly code?: string;
}

const outcomes: Readonly<Record<string, ToldStep["outcome"]>> = {
  "step-cached": "cached",
  "step-done": "done",
  "step-failed": "failed",
  "step-canceled": "canceled",
};

/** Every event of a `--progress rawjson` stream. Lines that are no JSON objects (an error's text) are left out. */
export function readEvents(stderr: string): RawEvent[] {
  return stderr
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as RawEvent);
}

/** The steps of a `--progress rawjson` stream in the order in which they were first told. */
export function readSteps(stderr: string): ToldStep[] {
  const steps = new Map<number, ToldStep>();
  for (const { type, step, name, time = 0 } of readEvents(stderr)) {
    if (step === undefined) continue;
    const known = steps.get(step);
    const outcome = outcomes[type];
    if (known === undefined) {
      const fresh = { name: name ?? "", outcome: outcome ?? "unfinished", started: time };
      steps.set(step, { ...fresh, ended: time });
    } else if (outcome !== undefined) steps.set(step, { ...known, outcome, ended: time });
  }
  return [...steps.values()];
}

/** Those steps that stand for an instruction which makes a layer. */
export function instructionSteps(stderr: string): ToldStep[] {
  return readSteps(stderr).filter(({ name }) =>
    /^\[[^\]]*\] (ONBUILD )?(RUN|COPY|ADD|WORKDIR)/.test(name),
  );
}

/** `RUN make` → outcome, for the steps of `instructionSteps`, without the `[stage i/n]` in front. */
export function outcomesOf(stderr: string): Record<string, ToldStep["outcome"]> {
  return Object.fromEntries(
    instructionSteps(stderr).map(({ name, outcome }) => [
      name.replace(/^\[[^\]]*\] /, ""),
      outcome,
    ]),
  );
}
