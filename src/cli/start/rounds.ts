/**
 * How many commands of each kind have added to a script's kept code what they compiled. A kind is a command with the
 * flags that were given; a build is of more, one for each instruction that ran or was cached: others run other functions.
 */
export type Rounds = Readonly<Record<string, number>>;

/**
 * The first command of a kind compiles other functions than the next ones, which find its work done. So the first few
 * add theirs, and later one a day does: what is used changes. (A cached rebuild takes 4 to 8 ms less for it.) Of an
 * instruction the first one has most, and to add it takes some 20 ms.
 */
function firstRounds(kind: string): number {
  return kind.startsWith(stepPrefix) ? 1 : 3;
}

/** With this begin the kinds that are instructions. */
export const stepPrefix = "step ";

/** Beyond so many kinds in a day, others add nothing until the next one: what is kept may not grow for ever. */
const mostKinds = 40;

/** What a command was, and whether nobody has added anything for a day. */
export interface Round {
  readonly kinds: readonly string[];
  readonly isOld: boolean;
}

/** Whether such a command need add nothing. */
export function isSettled(rounds: Rounds, { kinds, isOld }: Round): boolean {
  if (isOld) return false;
  return kinds.every((kind) => {
    const done = rounds[kind];
    return done === undefined ? isFull(rounds) : done >= firstRounds(kind);
  });
}

/**
 * The rounds after one more of these kinds. On a new day each kind that is used again gets one more, and what was not used
 * on the last one is forgotten. A kind may come for which there is no place any more: another script had one.
 */
export function addRound(rounds: Rounds, { kinds, isOld }: Round): Rounds {
  const added: Record<string, number> = { ...(isOld ? ofNewDay(rounds) : rounds) };
  for (const kind of kinds) {
    const done = added[kind];
    if (done === undefined && isFull(added)) continue;
    added[kind] = Math.min((done ?? 0) + 1, firstRounds(kind));
  }
  return added;
}

function isFull(rounds: Rounds): boolean {
  return Object.keys(rounds).length >= mostKinds;
}

function ofNewDay(rounds: Rounds): Rounds {
  const used = Object.entries(rounds).filter(([kind, done]) => done >= firstRounds(kind));
  return Object.fromEntries(used.map(([kind, done]) => [kind, done - 1]));
}
