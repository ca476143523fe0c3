/** Time has one door, so that tests and SOURCE_DATE_EPOCH can stand in it. */
export interface Clock {
  now(): Date;
}

export const systemClock: Clock = { now: () => new Date() };

/** A clock that always tells the same time. */
export function fixedClock(time: Date): Clock {
  return { now: () => new Date(time) };
}
