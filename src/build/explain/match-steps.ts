/**
 * For each of the current steps the one of the last build that it was, by position; undefined for a new one. Steps are
 * compared within their stage: equal texts first, in order, then what stands between equal ones in order of
 * appearance, so that a changed instruction meets what it was.
 */
export function matchSteps(
  previous: readonly string[],
  current: readonly string[],
): readonly (number | undefined)[] {
  const matches: (number | undefined)[] = current.map(() => undefined);
  const before = byStage(previous);
  for (const [stage, now] of byStage(current)) {
    const old = before.get(stage) ?? [];
    for (const [a, b] of align(old, now)) {
      matches[b] = a;
    }
  }
  return matches;
}

interface NamedStep {
  /** In the whole build. */
  readonly position: number;
  readonly text: string;
}

/** Splits names like `[builder 2/4] RUN make` into the stage, which stays, and the text; the number counts for nothing. */
function byStage(names: readonly string[]): ReadonlyMap<string, readonly NamedStep[]> {
  const stages = new Map<string, NamedStep[]>();
  for (const [position, name] of names.entries()) {
    const parts = /^\[(.*?)\s*\d+\/\d+\] (.*)$/s.exec(name);
    const stage = parts?.[1] ?? "";
    const steps = stages.get(stage) ?? [];
    steps.push({ position, text: parts?.[2] ?? name });
    stages.set(stage, steps);
  }
  return stages;
}

function align(
  old: readonly NamedStep[],
  now: readonly NamedStep[],
): readonly (readonly [number, number])[] {
  const pairs: (readonly [number, number])[] = [];
  const anchors = [...commonSteps(old, now), [old.length, now.length] as const];
  let [nextOld, nextNow] = [0, 0];
  for (const [atOld, atNow] of anchors) {
    // Between two equal steps: each meets what stood at its place.
    while (nextOld < atOld && nextNow < atNow) {
      pairs.push([positionOf(old, nextOld++), positionOf(now, nextNow++)]);
    }
    if (atOld < old.length) pairs.push([positionOf(old, atOld), positionOf(now, atNow)]);
    [nextOld, nextNow] = [atOld + 1, atNow + 1];
  }
  return pairs;
}

function positionOf(steps: readonly NamedStep[], index: number): number {
  return steps[index]?.position ?? -1;
}

/** Indices of a longest common subsequence of texts. What begins and ends alike is not compared crosswise. */
function commonSteps(
  old: readonly NamedStep[],
  now: readonly NamedStep[],
): readonly (readonly [number, number])[] {
  const isEqual = (a: number, b: number): boolean => old[a]?.text === now[b]?.text;
  let begin = 0;
  while (begin < old.length && begin < now.length && isEqual(begin, begin)) begin += 1;
  let [endOld, endNow] = [old.length, now.length];
  while (endOld > begin && endNow > begin && isEqual(endOld - 1, endNow - 1)) {
    endOld -= 1;
    endNow -= 1;
  }
  const head = Array.from({ length: begin }, (_, index) => [index, index] as const);
  const tail = Array.from(
    { length: old.length - endOld },
    (_, index) => [endOld + index, endNow + index] as const,
  );
  const middle =
    (endOld - begin) * (endNow - begin) > maxCrosswise
      ? []
      : crosswise({ begin, endOld, endNow, isEqual });
  return [...head, ...middle, ...tail];
}

/** Cells of a table; two texts that differ in thousands of lines have nothing to tell about a single one. */
const maxCrosswise = 4_000_000;

function crosswise(range: {
  readonly begin: number;
  readonly endOld: number;
  readonly endNow: number;
  readonly isEqual: (old: number, now: number) => boolean;
}): readonly (readonly [number, number])[] {
  const { begin, endOld, endNow, isEqual } = range;
  const width = endNow - begin + 1;
  // lengths[a, b]: how many are common to what is left of both from there on.
  const lengths = new Uint16Array((endOld - begin + 1) * width);
  const at = (a: number, b: number): number => lengths[(a - begin) * width + (b - begin)] ?? 0;
  for (let a = endOld - 1; a >= begin; a -= 1) {
    for (let b = endNow - 1; b >= begin; b -= 1) {
      const length = isEqual(a, b) ? at(a + 1, b + 1) + 1 : Math.max(at(a + 1, b), at(a, b + 1));
      lengths[(a - begin) * width + (b - begin)] = length;
    }
  }
  const pairs: (readonly [number, number])[] = [];
  for (let [a, b] = [begin, begin]; a < endOld && b < endNow;) {
    if (isEqual(a, b)) pairs.push([a++, b++]);
    else if (at(a + 1, b) >= at(a, b + 1)) a += 1;
    else b += 1;
  }
  return pairs;
}
