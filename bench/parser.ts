import { parsePlatform } from "../src/core/index.ts";
import { formatDockerfile, Linter, parseDockerfile } from "../src/dockerfile/index.ts";
import { planBuild } from "../src/plan/index.ts";
import { createFakeBases } from "../test/support/fake-bases.ts";

/**
 * `npm run bench:parser`: how long it takes to parse, plan and write Dockerfiles of about one megabyte, each of one shape
 * only. Seconds of processor time (of all threads, so that other programs do not count), the median of five; nothing is built. An argument chooses the shapes whose names hold it.
 */
const count = 20_000;
const filler = "x".repeat(25);

const shapes: Readonly<Record<string, () => string>> = {
  "20,000 RUN": () => lines((n) => `RUN echo step ${String(n)} ${filler} > /out`),
  "20,000 RUN with flags": () =>
    lines((n) => `RUN --mount=type=cache,target=/c${String(n % 50)} echo ${String(n)}`),
  "20,000 ENV with expansion": () =>
    lines((n) => `ENV V${String(n % 500)}="\${V${String((n + 1) % 500)}:-a}$HOME/\${PATH##*/}"`),
  "20,000 ARG": () => lines((n) => `ARG A${String(n)}=\${A${String(n - 1)}-${filler}}`),
  "20,000 LABEL": () => lines((n) => `LABEL key.of.label.${String(n)}="value ${filler}"`),
  "20,000 COPY": () =>
    lines((n) => `COPY --chown=1:2 src/${String(n)}/${filler} /dst/${String(n)}/`),
  "20,000 stages": () => Array.from({ length: count / 2 }, (_, n) => stage(n)).join(""),
  "one continuation of 1 MB": () =>
    `FROM debian:12\nRUN true${continued((n) => ` && echo ${String(n)} ${filler}`)}\n`,
  "one ENV of 1 MB": () =>
    `FROM debian:12\nENV A=1${continued((n) => ` V${String(n)}="\${A} ${filler}"`)}\n`,
  "one heredoc of 1 MB": () =>
    `FROM debian:12\nCOPY <<EOF /x\n${lines((n) => `line $HOME ${String(n)} ${filler}\n`)}EOF\n`,
  "5,000 heredocs": () => heredocs(),
  "20,000 comments and blank lines": () => lines(() => `# ${filler} ${filler}\n`),
};

function lines(line: (n: number) => string): string {
  return `FROM debian:12\n${Array.from({ length: count }, (_, n) => line(n)).join("\n")}\n`;
}

function continued(piece: (n: number) => string): string {
  return Array.from({ length: count }, (_, n) => `${piece(n)}`).join(" \\\n");
}

function stage(n: number): string {
  const base = n === 0 ? "debian:12" : `stage${String(n - 1)}`;
  return `FROM ${base} AS stage${String(n)}\nCOPY --from=stage${String(Math.floor(n / 2) - (n < 2 ? 0 : 1))} /a /b${filler}\n`.replace(
    n === 0 ? "--from=stage0 " : "\0",
    "",
  );
}

function heredocs(): string {
  const bodies = Array.from(
    { length: 5000 },
    (_, n) => `RUN <<EOF\n${`echo ${String(n)} ${filler}\n`.repeat(5)}EOF`,
  );
  return `FROM debian:12\n${bodies.join("\n")}\n`;
}

async function median(act: () => unknown): Promise<number> {
  const times: number[] = [];
  for (let run = 0; run < 5; run++) {
    const start = process.cpuUsage();
    await act();
    const { user, system } = process.cpuUsage(start);
    times.push((user + system) / 1e6);
  }
  return times.sort((a, b) => a - b)[2] ?? 0;
}

console.log(["shape".padEnd(34), "MB   ", "parse", "plan ", "both ", "write"].join("  "));
const only = process.argv[2];
for (const [name, make] of Object.entries(shapes)) {
  if (only !== undefined && !name.includes(only)) continue;
  const text = make();
  const parsed = parseDockerfile(text, { file: "Dockerfile" });
  const parse = await median(() => parseDockerfile(text, { file: "Dockerfile" }));
  const plan = await median(() =>
    planBuild(parsed, {
      buildArgs: new Map(),
      linter: new Linter({ override: undefined }),
      platforms: [parsePlatform("linux/amd64")],
      buildPlatform: parsePlatform("linux/amd64"),
      resolveBase: createFakeBases().resolveBase,
    }),
  );
  const write = await median(() => formatDockerfile(parsed));
  const figures = [text.length / 1e6, parse, plan, parse + plan, write];
  console.log([name.padEnd(34), ...figures.map((figure) => figure.toFixed(3))].join("  "));
}
