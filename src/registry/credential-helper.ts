import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { coreError, errnoOf } from "../core/index.ts";
import type { Credentials } from "./credentials.ts";
import { registryError } from "./errors.ts";

/** The text by which every helper says that it does not know a server. */
const notFound = /credentials not found/i;

export interface CredentialHelperQuery {
  /** The part of the program's name behind `docker-credential-`. */
  readonly helper: string;
  readonly server: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal?: AbortSignal | undefined;
}

/** What helpers said of servers, for the time of this process: some take seconds, or ask for a finger on a key. */
const known = new Map<string, Credentials | undefined>();

/**
 * Asks `docker-credential-<helper> get`; undefined when it does not know the server. It is asked once in a process.
 * @throws REGISTRY_CREDENTIALS_INVALID when the helper is missing, fails or cannot be understood
 */
export async function askCredentialHelper(
  query: CredentialHelperQuery,
): Promise<Credentials | undefined> {
  const key = keyOf(query);
  if (known.has(key)) return known.get(key);
  const stdout = await runHelper(query, "get", `${query.server}\n`);
  const answer = stdout === undefined ? undefined : parseAnswer(query, stdout);
  known.set(key, answer);
  return answer;
}

/**
 * Gives credentials to a helper, which keeps them.
 * @throws REGISTRY_CREDENTIALS_INVALID when the helper is missing or fails
 */
export async function storeInHelper(
  query: CredentialHelperQuery,
  secret: { readonly username: string; readonly secret: string },
): Promise<void> {
  known.delete(keyOf(query));
  const { username: Username, secret: Secret } = secret;
  const input = JSON.stringify({ ServerURL: query.server, Username, Secret });
  const stdout = await runHelper(query, "store", input);
  if (stdout === undefined) throw helperError(query, "it refuses to store credentials");
}

/**
 * Makes a helper forget a server. False when it knew none.
 * @throws REGISTRY_CREDENTIALS_INVALID when the helper is missing or fails
 */
export async function eraseFromHelper(query: CredentialHelperQuery): Promise<boolean> {
  known.delete(keyOf(query));
  return (await runHelper(query, "erase", `${query.server}\n`)) !== undefined;
}

/**
 * The servers that a helper knows, each with its user name.
 * @throws REGISTRY_CREDENTIALS_INVALID when the helper is missing, fails or cannot be understood
 */
export async function listHelper(
  query: Omit<CredentialHelperQuery, "server">,
): Promise<ReadonlyMap<string, string>> {
  const all = { ...query, server: "all servers" };
  const stdout = await runHelper(all, "list", "");
  const answer = parseObject(all, stdout ?? "{}");
  return new Map(
    Object.entries(answer).flatMap(([server, username]) =>
      typeof username === "string" ? [[server, username] as const] : [],
    ),
  );
}

function keyOf({ helper, server, env }: CredentialHelperQuery): string {
  return [helper, server, env["PATH"] ?? "", env["HOME"] ?? ""].join("\0");
}

/** What the helper writes; undefined when it does not know the server. */
async function runHelper(
  query: CredentialHelperQuery,
  verb: "get" | "store" | "erase" | "list",
  input: string,
): Promise<string | undefined> {
  // The name comes from a file: it must not choose a program elsewhere.
  if (!/^[\w.-]+$/.test(query.helper)) throw helperError(query, "its name is not a word");
  const { code, stdout, stderr } = await run(query, verb, input);
  if (code === 0) return stdout;
  if (notFound.test(stdout) || notFound.test(stderr)) return undefined;
  throw helperError(query, `it ends with ${String(code)}`);
}

async function run(
  query: CredentialHelperQuery,
  verb: string,
  input: string,
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  const { helper, env, signal } = query;
  const child = spawn(`docker-credential-${helper}`, [verb], {
    env: { ...env },
    stdio: ["pipe", "pipe", "pipe"],
    ...(signal === undefined ? {} : { signal }),
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", (error) => {
      const reason = errnoOf(error) === "ENOENT" ? "it is not installed" : "it cannot be started";
      reject(
        signal?.aborted === true
          ? coreError("CANCELED", `ask credential helper ${helper}: canceled`, { cause: error })
          : helperError(query, reason, error),
      );
    });
    child.once("close", resolve);
  });
  // A helper that does not read its input has its reasons; its exit code tells them.
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const [code, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  return { code, stdout, stderr };
}

function parseObject(query: CredentialHelperQuery, stdout: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(stdout);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // The text holds a secret: it is not shown, not even as a cause.
  }
  throw helperError(query, "its answer is no JSON object");
}

function parseAnswer(query: CredentialHelperQuery, stdout: string): Credentials {
  const { Username: username, Secret: secret } = parseObject(query, stdout);
  if (typeof username !== "string" || typeof secret !== "string") {
    throw helperError(query, `its answer has no user name or no secret`);
  }
  return username === "<token>"
    ? { type: "identity-token", token: secret }
    : { type: "password", username, password: secret };
}

function helperError(
  { helper, server }: { readonly helper: string; readonly server: string },
  reason: string,
  cause?: unknown,
): Error {
  const message = `ask docker-credential-${helper.slice(0, 80)} for ${server}: ${reason}`;
  return registryError("REGISTRY_CREDENTIALS_INVALID", message, {
    hint: "install the credential helper, or remove it from the credentials file",
    details: { helper, server },
    cause,
  });
}
