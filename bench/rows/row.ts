import type { Argv, Engine } from "../engines/engine.ts";
import type { Goal } from "../report/goals.ts";
import type { Workspace } from "../workspace.ts";

/** One line of the table: a job that every contestant does. */
export interface BenchRow {
  readonly name: string;
  /** The job in a few words. */
  readonly what: string;
  readonly goals: readonly Goal[];
  /** How much larger the job is than others of its kind; for rows that are compared with each other. */
  readonly units?: number;
  /** False: the peers would take minutes, and the row is about tsbuild and the floor. */
  readonly peers?: false;
  /** False: every turn starts from nothing anyway, so none is spent on warming up. */
  readonly warmUp?: false;
  /**
   * Makes what the row needs, once, without being measured.
   *
   * @throws {RowSkipped} when this machine lacks something
   */
  prepare(workspace: Workspace): Promise<PreparedRow>;
}

export interface PreparedRow {
  /** Undefined: this engine cannot do the job. */
  contestant(engine: Engine): Contestant | undefined;
  readonly floor: Contestant & { readonly what: string };
}

export interface Contestant {
  /** Undoes the last turn and makes the next one's input new; not measured. */
  reset?(): Promise<void>;
  command(): Argv;
  /** Bytes that the command sent to a registry; asked after each turn. */
  sent?(): number;
}

/** Why a row cannot be measured here. */
export class RowSkipped extends Error {}
