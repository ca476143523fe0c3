/** Time has one door, so that tests and SOURCE_DATE_EPOCH can stand in it. */
export interface Clock {
  now(): Date;
}

export const systemClock: Clock = { now: () => new Date() };

/** A clock that always tells the same time. */
export function fixedClock(time: Date): Clock {
  return { now: () => new Date(time) };
}

/**
 * Milliseconds since some moment, never turned back: for how long something took. Not `performance.now()`, because the
 * first look at that global loads `node:perf_hooks`, which takes a millisecond.
 */
export function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}
