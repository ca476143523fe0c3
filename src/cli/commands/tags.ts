import { Option, type Command } from "commander";
import { listTags } from "../../api/index.ts";
import type { Invocation } from "../invocation.ts";
import { countOf } from "../read-count.ts";
import { warningPrinter } from "../warnings.ts";

interface Flags {
  readonly limit?: number;
  readonly last?: string;
  readonly insecure?: boolean;
  readonly format: "text" | "json";
}

/** `tsbuild tags REPO` */
export function addTagsCommand(program: Command, invocation: Invocation): void {
  program
    .command("tags")
    .description("list the tags of a repository in a registry")
    .argument("<repository>", "name without a tag, such as host:5000/team/app")
    .option("--limit <n>", "at most so many", countOf("--limit", "tags"))
    .option("--last <tag>", "only those behind this one, as the registry orders them")
    .option("--insecure", "accept any certificate, and plain http")
    .addOption(
      new Option("--format <format>", "output format").choices(["text", "json"]).default("text"),
    )
    .action(async (repository: string, flags: Flags) => {
      const { limit, last, insecure, format } = flags;
      const { signal } = invocation;
      const tags: string[] = [];
      const progress = warningPrinter(process.stderr);
      for await (const tag of listTags({ repository, limit, last, insecure, progress, signal })) {
        if (format === "text") process.stdout.write(`${tag}\n`);
        else tags.push(tag);
      }
      if (format === "json") process.stdout.write(`${JSON.stringify(tags, undefined, 2)}\n`);
    });
}
