import { registryError } from "./errors.ts";
import { readPages } from "./paging.ts";
import type { Transport } from "./transport.ts";

/** A page as large as the strictest registries allow. */
const pageSize = 1000;

/** Which names are listed. */
export interface ListOptions {
  /** Only names behind this one, in the registry's order. */
  readonly last?: string | undefined;
  /** At most so many. */
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Tags of the transport's repository, in the registry's order. @throws REGISTRY_* codes */
export async function* readTags(
  transport: Transport,
  name: string,
  options: ListOptions,
): AsyncGenerator<string> {
  yield* readNames(transport, {
    ...options,
    path: "/tags/list",
    field: "tags",
    attempt: `list the tags of ${name}`,
  });
}

/** Repositories of the transport's host, in its order. @throws REGISTRY_* codes */
export async function* readRepositories(
  transport: Transport,
  options: ListOptions,
): AsyncGenerator<string> {
  yield* readNames(transport, {
    ...options,
    path: "/_catalog",
    ofApi: true,
    scopes: ["registry:catalog:*"],
    field: "repositories",
    attempt: `list the repositories of ${transport.host.domain}`,
  });
}

async function* readNames(
  transport: Transport,
  list: ListOptions & {
    readonly path: string;
    readonly field: string;
    readonly attempt: string;
    readonly ofApi?: boolean;
    readonly scopes?: readonly string[];
  },
): AsyncGenerator<string> {
  const { path, field, last, limit = Infinity, ...request } = list;
  let left = limit;
  if (left <= 0) return;
  const query = new URLSearchParams({ n: String(Math.min(left, pageSize)) });
  if (last !== undefined) query.set("last", last);
  const target = `${path}?${query.toString()}`;
  for await (const { body } of readPages(transport, { ...request, target, accept: [200] })) {
    for (const name of namesIn(body, field, list.attempt)) {
      yield name;
      left -= 1;
      if (left <= 0) return;
    }
  }
}

function namesIn(body: Buffer, field: string, attempt: string): readonly string[] {
  let value: unknown;
  try {
    value = JSON.parse(body.toString("utf8"));
  } catch (cause) {
    throw registryError("REGISTRY_ANSWER_INVALID", `${attempt}: it is not JSON`, { cause });
  }
  const names =
    typeof value === "object" && value !== null
      ? (value as Readonly<Record<string, unknown>>)[field]
      : [];
  return Array.isArray(names) ? names.filter((name) => typeof name === "string") : [];
}
