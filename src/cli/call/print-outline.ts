import type { CallDescription, OutlineResult, TargetsResult } from "../../api/index.ts";
import { formatTable } from "../table.ts";

/** What a target takes: a table for each kind of thing, and nothing for a kind that there is none of. */
export function formatOutline(outline: OutlineResult): string {
  const { args, secrets, ssh, caches } = outline;
  const parts = [
    formatTarget(outline),
    tableUnlessEmpty(
      ["BUILD ARG", "VALUE", "DESCRIPTION"],
      args.map(({ name, value = "", description = "" }) => [name, value, description]),
    ),
    tableUnlessEmpty(["SECRET", "REQUIRED"], secrets.map(toRow)),
    tableUnlessEmpty(["SSH", "REQUIRED"], ssh.map(toRow)),
    tableUnlessEmpty(
      ["CACHE"],
      caches.map(({ name }) => [name]),
    ),
  ];
  return parts.filter((part) => part !== "").join("\n");
}

/** The stages of a Dockerfile. */
export function formatTargets({ targets }: TargetsResult): string {
  const rows = targets.map(({ name, isDefault, description = "" }) => {
    const mark = isDefault ? "(default)" : "";
    return [[name ?? "", mark].filter((part) => part !== "").join(" "), description];
  });
  return formatTable(["TARGET", "DESCRIPTION"], rows);
}

/** What `--call` can be asked for. */
export function formatCalls(calls: readonly CallDescription[]): string {
  const rows = calls.map(({ name, version, description }) => [
    name.replace(/^frontend\./, ""),
    version,
    description,
  ]);
  return formatTable(["NAME", "VERSION", "DESCRIPTION"], rows);
}

function formatTarget({ name, description }: OutlineResult): string {
  if (name === undefined) return "";
  const rows = description === undefined ? [] : [["DESCRIPTION:", description]];
  return formatTable(["TARGET:", name], rows);
}

function tableUnlessEmpty(header: readonly string[], rows: readonly (readonly string[])[]): string {
  return rows.length === 0 ? "" : formatTable(header, rows);
}

function toRow({ name, required }: OutlineResult["secrets"][number]): readonly string[] {
  return [name, required ? "true" : ""];
}
