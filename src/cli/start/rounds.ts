/**
 * How many commands of each kind have added to a script's kept code what they compiled. A kind is a command with the
 * flags that were given, and of a build the instructions that ran or were cached: others run other functions.
 */
export type Rounds = Readonly<Record<string, number>>;

/**
 * The first command of a kind compiles other functions than the next ones, which find its work done. So the first few
 * add theirs, and later one a day does: what is used changes. (A cached rebuild takes 4 to 8 ms less for it.)
 */
const firstRounds = 3;

/** Beyond so many kinds in a day, others add nothing until the next one: what is kept may not grow for ever. */
const mostKinds = 40;

/** Whether a command of this kind need add nothing. `isOld`: nobody has added anything for a day. */
export function isSettled(
  rounds: Rounds,
  { kind, isOld }: { kind: string; isOld: boolean },
): boolean {
  if (isOld) return false;
  const done = rounds[kind];
  return done === undefined ? isFull(rounds) : done >= firstRounds;
}

/**
 * The rounds after one more of this kind. On a new day each kind that is used again gets one more, and what was not used
 * on the last one is forgotten. A command may come for which there is no place any more: another script had one.
 */
export function addRound(
  rounds: Rounds,
  { kind, isOld }: { kind: string; isOld: boolean },
): Rounds {
  const known = isOld ? ofNewDay(rounds) : rounds;
  if (known[kind] === undefined && isFull(known)) return known;
  return { ...known, [kind]: Math.min((known[kind] ?? 0) + 1, firstRounds) };
}

function isFull(rounds: Rounds): boolean {
  return Object.keys(rounds).length >= mostKinds;
}

function ofNewDay(rounds: Rounds): Rounds {
  const used = Object.entries(rounds).filter(([, done]) => done >= firstRounds);
  return Object.fromEntries(used.map(([kind]) => [kind, firstRounds - 1]));
}
