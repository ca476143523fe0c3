import { parseArgs } from "node:util";
import { type PeerName, peerNames } from "./engines/find-engines.ts";

export interface BenchOptions {
  /** Names of rows; undefined: all. */
  readonly only?: readonly string[];
  readonly peers?: readonly PeerName[];
  readonly runs: number;
  readonly svg?: string;
  readonly json?: string;
  /** File whose table is replaced. */
  readonly into?: string;
  readonly markdown: boolean;
  readonly report: boolean;
  readonly hold: readonly string[];
  /** Folder with the unpacked packages of docker. */
  readonly docker?: string;
  readonly help: boolean;
}

/** What `--help` prints. */
export function helpText(rowNames: readonly string[]): string {
  return `npm run bench -- [flags]

  --only ROWS     comma list of rows; scale-* are all that begin so
  --peers PEERS   comma list of ${peerNames.join(", ")}, or none; without it, those that answer
  --docker DIR    folder into which docker's packages were unpacked; without it, the programs in $PATH
  --runs N        turns that count, 5
  --json FILE     where results are kept, row by row
  --svg FILE      picture of tsbuild's times by those of the faster peer
  --into FILE     write the table between the two marks of a Markdown page
  --markdown      print the table as Markdown
  --report        measure nothing, show what --json has
  --hold 'CMD…'   CMD… sh -c … runs while turns are measured
  --help          print this

rows: ${rowNames.join(" ")}

bench/README.md tells what is measured, and what it needs.`;
}

/** @throws Error that says which argument is wrong and what there is to choose from */
export function readOptions(args: readonly string[], rowNames: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: "string" },
      peers: { type: "string" },
      runs: { type: "string", default: "5" },
      svg: { type: "string" },
      json: { type: "string" },
      into: { type: "string" },
      markdown: { type: "boolean", default: false },
      report: { type: "boolean", default: false },
      hold: { type: "string", default: "" },
      docker: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const { only, peers, svg, json, markdown, report, docker, into, help } = values;
  const runs = Number(values.runs);
  if (!Number.isInteger(runs) || runs < 1) throw new Error(`--runs ${values.runs}: not a count`);
  if (report && json === undefined) throw new Error("--report reads the file of --json: name it");
  return {
    ...(only !== undefined && { only: chosenOf("--only", only, rowNames) }),
    ...(peers !== undefined && { peers: chosenOf("--peers", peers, peerNames) }),
    runs,
    ...(svg !== undefined && { svg }),
    ...(into !== undefined && { into }),
    ...(docker !== undefined && { docker }),
    ...(json !== undefined && { json }),
    markdown,
    report,
    help,
    hold: values.hold.split(" ").filter((word) => word !== ""),
  };
}

/** Names of a comma list; `scale-*` stands for all that begin so. */
function chosenOf<Name extends string>(
  flag: string,
  list: string,
  names: readonly Name[],
): readonly Name[] {
  return list.split(",").flatMap((wanted) => {
    if (wanted === "" || wanted === "none") return [];
    const found = names.filter((name) =>
      wanted.endsWith("*") ? name.startsWith(wanted.slice(0, -1)) : name === wanted,
    );
    if (found.length > 0) return found;
    throw new Error(`${flag}: there is no ${wanted}; there are ${names.join(", ")}`);
  });
}
