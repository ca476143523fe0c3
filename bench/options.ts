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
    },
  });
  const { only, peers, svg, json, markdown, report, docker, into } = values;
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
