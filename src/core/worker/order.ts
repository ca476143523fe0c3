/** What goes to the thread. */
export interface Order {
  /** 1 for the first. */
  readonly number: number;
  readonly job: object;
}

/** Where in the shared state it says that it takes orders. */
export const readyAt = 0;
/** Where it says which order is over; those before are, too. */
export const jobAt = 1;
