import type { ContextReport, ContextUse, PathExplanation } from "../../api/index.ts";
import { sanitiseLine } from "../progress/terminal-text.ts";
import { formatCount, formatSize } from "../table.ts";

/** What `tsbuild context` prints, for people. Names come from strangers: none of them controls the terminal. */
export function formatContext(report: ContextReport): string {
  const { context, files, folders, bytes, problem } = report;
  const sections = [
    [
      `Context ${clean(context)}: ${formatCount(files, "file")} in ${formatCount(folders, "folder")}, ${formatSize(bytes)}`,
      ...ignoredLines(report),
    ],
    section(
      "Largest files",
      report.largestFiles.map(({ path, size }) => `${sized(size)}  ${clean(path)}`),
    ),
    section(
      "Largest folders",
      report.largestFolders.map(
        ({ path, size, files: inside }) =>
          `${sized(size)}  ${clean(path)}/  ${formatCount(inside, "file")}`,
      ),
    ),
    section("Read by", report.uses.map(useLine)),
    section("Read by nobody", unusedLines(report)),
    section("Worth a look", report.findings.map(findingLine)),
    problem === undefined
      ? []
      : [`The Dockerfile cannot be built, so nobody knows what it reads: ${clean(problem)}`],
  ];
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => `${lines.join("\n")}\n`)
    .join("\n");
}

/** What `tsbuild context --explain` prints. */
export function formatExplanations(explanations: readonly PathExplanation[]): string {
  return explanations.map((each) => `${explanationLines(each).join("\n")}\n`).join("\n");
}

/** One line for each rule that takes something away, with an example. */
function ignoredLines({ ignored, rules }: ContextReport): readonly string[] {
  const byRule = new Map<string, { first: string; more: number }>();
  for (const { path, rule } of ignored) {
    const key = `${rule.file}:${String(rule.line)} ${rule.pattern}`;
    const known = byRule.get(key);
    if (known === undefined) byRule.set(key, { first: path, more: 0 });
    else known.more += 1;
  }
  const lines = [...byRule].map(([rule, { first, more }]) => {
    const others = more === 0 ? "" : ` and ${String(more)} more`;
    return `  ${clean(rule)} leaves out ${clean(first)}${others}`;
  });
  if (rules.file === undefined) return ["No rules of an ignore file leave anything out."];
  const where = `${formatCount(rules.count, "rule")} in ${clean(rules.file)}`;
  return lines.length === 0 ? [`${where}, and nothing is left out`] : [`${where}:`, ...lines];
}

function unusedLines({ unused }: ContextReport): readonly string[] {
  if (unused === undefined || unused.files === 0) return [];
  const { files, bytes, largest } = unused;
  return [
    `${formatCount(files, "file")}, ${formatSize(bytes)}, that no COPY, ADD or mount of any stage reads`,
    ...largest.map(
      ({ path, size, files: inside }) =>
        `${sized(size)}  ${clean(path)}${inside === 1 ? "" : `  ${formatCount(inside, "file")}`}`,
    ),
  ];
}

function useLine({ step, location, files, bytes, problem }: ContextUse): string {
  const found =
    problem === undefined ? `${formatCount(files, "file")}, ${formatSize(bytes)}` : clean(problem);
  return `${place(location)}${clean(step)}  ${found}`;
}

function findingLine({
  code,
  path,
  size,
  what,
  isUsed,
}: ContextReport["findings"][number]): string {
  const use = isUsed === true ? "; read by the build" : isUsed === false ? "; read by nobody" : "";
  return `${code}  ${clean(path)}  ${formatSize(size)}: ${what}${use}`;
}

function explanationLines({
  path,
  isThere,
  isIncluded,
  rules,
  uses,
}: PathExplanation): readonly string[] {
  const last = rules.at(-1);
  const deciding = last === undefined ? "no rule names it" : describeRule(last, path);
  const verdict = isIncluded
    ? "in the context"
    : isThere
      ? "left out"
      : last === undefined || last.isException
        ? "not there"
        : "not there, and would be left out";
  const earlier = rules.slice(0, -1).map((rule) => `  before that: ${describeRule(rule, path)}`);
  const readers = uses.map((use) => `  read by ${place(use.location)}${clean(use.step)}`);
  const nobody = isIncluded && uses.length === 0 ? ["  read by nobody"] : [];
  return [`${clean(path)}: ${verdict}: ${deciding}`, ...earlier, ...readers, ...nobody];
}

function describeRule(
  { rule, isException, matched }: PathExplanation["rules"][number],
  path: string,
): string {
  const how = isException ? "takes it back" : "leaves it out";
  const folder = matched === path ? "" : `, with its folder ${clean(matched)}`;
  return `${clean(rule.file)}:${String(rule.line)} ${clean(rule.pattern)} ${how}${folder}`;
}

function place(location: ContextUse["location"]): string {
  return location === undefined ? "" : `${clean(location.file)}:${String(location.line)} `;
}

function section(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [title, ...lines.map((line) => `  ${line}`)];
}

function sized(bytes: number): string {
  return formatSize(bytes).padStart(7);
}

function clean(text: string): string {
  return sanitiseLine(text.replaceAll("\n", "\\n"), { color: false });
}
