import type { SourceLocation } from "../core/index.ts";

/**
 * A Dockerfile after parsing, checked as far as syntax goes. Words are raw (not expanded, quotes kept) unless a field
 * says otherwise.
 */
export interface Dockerfile {
  /** Name for messages and locations. */
  readonly file: string;
  readonly directives: Directives;
  /** ARGs before the first FROM. */
  readonly globalArgs: readonly ArgInstruction[];
  readonly stages: readonly StageSyntax[];
  /** The text split into lines without their ends; excerpts are printed from it. */
  readonly lines: readonly string[];
}

export interface Directives {
  readonly escape: "\\" | "`";
  /** As written: the image is its first word. */
  readonly syntax?: string;
  readonly syntaxLocation?: SourceLocation;
  /** As written, blanks around it dropped. */
  readonly check?: string;
  readonly checkLocation?: SourceLocation;
}

/** One comment line. */
export interface Comment {
  /** Without the `#` and blanks around it; an indented comment keeps its `#`, as in the reference frontend. */
  readonly text: string;
  readonly location: SourceLocation;
}

/** One FROM block. */
export interface StageSyntax {
  readonly from: FromInstruction;
  /** Lower-case name given with AS. */
  readonly name?: string;
  readonly instructions: readonly StageInstruction[];
}

interface Syntax {
  readonly location: SourceLocation;
  /** The instruction's text with continuations joined and comments dropped, as history and progress show it. */
  readonly original: string;
  /**
   * The comments between the instruction before and this one, as far as they document it: a bare `#` starts anew, blank
   * lines do not, and parser directives are none. Absent when there is none.
   */
  readonly comments?: readonly Comment[];
}

/** Shell form is one string (not unquoted); exec form is an argument vector. */
export type CommandForm =
  | { readonly form: "shell"; readonly command: string }
  | { readonly form: "exec"; readonly argv: readonly string[] };

export interface Heredoc {
  readonly name: string;
  /** Lines up to the terminator, each with its end. Tabs of `<<-` are stripped for COPY and ADD, but not yet for RUN. */
  readonly content: string;
  /** Unquoted delimiter: variables in the content are expanded (COPY and ADD). */
  readonly expand: boolean;
  /** `<<-`: leading tabs are stripped. */
  readonly chomp: boolean;
  readonly fileDescriptor?: number;
}

export interface KeyValue {
  readonly key: string;
  readonly value: string;
}

export interface FromInstruction extends Syntax {
  readonly keyword: "FROM";
  readonly image: string;
  readonly platform?: string;
  readonly stageName?: string;
}

export interface ArgInstruction extends Syntax {
  readonly keyword: "ARG";
  readonly args: readonly { readonly name: string; readonly defaultValue?: string }[];
}

export interface RunInstruction extends Syntax {
  readonly keyword: "RUN";
  readonly command: CommandForm;
  readonly heredocs: readonly Heredoc[];
  /** Raw values of `--mount`. */
  readonly mounts: readonly string[];
  readonly network?: string;
  readonly security?: string;
}

/** Fields that COPY and ADD share. `sources` and `destination` are raw words. */
interface CopyLike extends Syntax {
  readonly sources: readonly string[];
  readonly destination: string;
  readonly heredocs: readonly Heredoc[];
  readonly chown?: string;
  readonly chmod?: string;
  readonly link: boolean;
  readonly exclude: readonly string[];
}

export interface CopyInstruction extends CopyLike {
  readonly keyword: "COPY";
  readonly from?: string;
  readonly parents: boolean;
}

export interface AddInstruction extends CopyLike {
  readonly keyword: "ADD";
  readonly checksum?: string;
  readonly keepGitDir: boolean;
  readonly unpack?: boolean;
}

export interface EnvInstruction extends Syntax {
  readonly keyword: "ENV";
  readonly pairs: readonly KeyValue[];
  /** `ENV key rest of line`. */
  readonly legacy: boolean;
}

export interface LabelInstruction extends Syntax {
  readonly keyword: "LABEL";
  readonly pairs: readonly KeyValue[];
  readonly legacy: boolean;
}

export interface CmdInstruction extends Syntax {
  readonly keyword: "CMD";
  readonly command: CommandForm;
}

export interface EntrypointInstruction extends Syntax {
  readonly keyword: "ENTRYPOINT";
  readonly command: CommandForm;
}

export interface WorkdirInstruction extends Syntax {
  readonly keyword: "WORKDIR";
  readonly path: string;
}

export interface UserInstruction extends Syntax {
  readonly keyword: "USER";
  readonly user: string;
}

export interface VolumeInstruction extends Syntax {
  readonly keyword: "VOLUME";
  readonly paths: readonly string[];
}

export interface ExposeInstruction extends Syntax {
  readonly keyword: "EXPOSE";
  readonly ports: readonly string[];
}

export interface ShellInstruction extends Syntax {
  readonly keyword: "SHELL";
  readonly argv: readonly string[];
}

export interface StopsignalInstruction extends Syntax {
  readonly keyword: "STOPSIGNAL";
  readonly signal: string;
}

export interface HealthcheckInstruction extends Syntax {
  readonly keyword: "HEALTHCHECK";
  /** undefined: HEALTHCHECK NONE. */
  readonly command?: CommandForm;
  /** Nanoseconds; absent for zero. */
  readonly interval?: number;
  readonly timeout?: number;
  readonly startPeriod?: number;
  readonly startInterval?: number;
  readonly retries?: number;
}

export interface OnbuildInstruction extends Syntax {
  readonly keyword: "ONBUILD";
  /** The trigger's text, keyword ONBUILD stripped, continuations joined. */
  readonly trigger: string;
}

export interface MaintainerInstruction extends Syntax {
  readonly keyword: "MAINTAINER";
  readonly author: string;
}

export type StageInstruction =
  | ArgInstruction
  | RunInstruction
  | CopyInstruction
  | AddInstruction
  | EnvInstruction
  | LabelInstruction
  | CmdInstruction
  | EntrypointInstruction
  | WorkdirInstruction
  | UserInstruction
  | VolumeInstruction
  | ExposeInstruction
  | ShellInstruction
  | StopsignalInstruction
  | HealthcheckInstruction
  | OnbuildInstruction
  | MaintainerInstruction;

export type Instruction = FromInstruction | StageInstruction;
