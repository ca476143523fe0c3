import { runCommandLine } from "./command-line.ts";
import { watchOutput } from "./output-streams.ts";

const abort = new AbortController();
const output = watchOutput(() => abort.abort());
const code = await runCommandLine(process.argv.slice(2), { brokenPipe: abort.signal });
process.exitCode = output.exitCode() ?? code;
