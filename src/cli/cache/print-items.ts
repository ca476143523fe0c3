import { Option } from "commander";
import type { CacheItem, CacheTotals } from "../../api/index.ts";
import { collect } from "../invocation.ts";
import { formatAge, formatSize, formatTable } from "../table.ts";

/** `--filter`, the same for listing and pruning. */
export function cacheFilterOption(description: string): Option {
  return new Option(
    "--filter <filter>",
    `${description}: until=24h, id=…, parents=…, type=regular|exec.cachemount|source.git.checkout, description~=REGEX, shared, private (repeatable; all have to hold)`,
  )
    .argParser(collect)
    .default([]);
}

/** A line an item. */
export function formatItems(
  items: readonly CacheItem[],
  { trunc }: { readonly trunc: boolean },
): string {
  const now = new Date();
  return formatTable(
    ["ID", "STEP", "UNIQUE", "SHARED", "LAST USED", "DURABLE", "RESULT"],
    items.map((item) => [
      trunc ? shortId(item.id) : item.id,
      trunc ? cut(item.description) : item.description,
      formatSize(item.unique),
      formatSize(item.shared),
      formatAge(item.lastUsed, now),
      item.durable ? "yes" : "no",
      item.result === undefined ? "" : trunc ? shortId(item.result) : item.result,
    ]),
  );
}

/** What they take up together. */
export function formatTotals(totals: CacheTotals): string {
  const lines = [
    ["Shared:", totals.shared],
    ["Private:", totals.private],
    ["Reclaimable:", totals.private],
    ["Total:", totals.total],
  ] as const;
  return lines.map(([name, size]) => `${name.padEnd(14)} ${formatSize(size)}\n`).join("");
}

/** Twelve digits of a digest, or of another ID. */
export function shortId(id: string): string {
  return id.replace(/^sha256:/, "").slice(0, 12);
}

const longest = 60;

function cut(text: string): string {
  const line = text.replaceAll(/\s*\n\s*/g, " ");
  return line.length > longest ? `${line.slice(0, longest - 1)}…` : line;
}
