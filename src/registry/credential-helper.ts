import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { errnoOf } from "../core/index.ts";
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

/**
 * Asks `docker-credential-<helper> get`; undefined when it does not know the server.
 * @throws REGISTRY_CREDENTIALS_INVALID when the helper is missing, fails or cannot be understood
 */
export async function askCredentialHelper(
  query: CredentialHelperQuery,
): Promise<Credentials | undefined> {
  const { helper, server } = query;
  // The name comes from a file: it must not choose a program elsewhere.
  if (!/^[\w.-]+$/.test(helper)) throw helperError(query, "its name is not a word");
  const { code, stdout, stderr } = await run(query);
  if (code !== 0) {
    if (notFound.test(stdout) || notFound.test(stderr)) return undefined;
    throw helperError(query, `it ends with ${String(code)}`);
  }
  return parseAnswer(query, stdout, server);
}

async function run({ helper, server, env, signal }: CredentialHelperQuery): Promise<{
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}> {
  const query = { helper, server, env };
  const child = spawn(`docker-credential-${helper}`, ["get"], {
    env: { ...env },
    stdio: ["pipe", "pipe", "pipe"],
    ...(signal === undefined ? {} : { signal }),
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", (error) => {
      const reason = errnoOf(error) === "ENOENT" ? "it is not installed" : "it cannot be started";
      reject(helperError(query, reason, error));
    });
    child.once("close", resolve);
  });
  // A helper that does not read its input has its reasons; its exit code tells them.
  child.stdin.on("error", () => undefined);
  child.stdin.end(`${server}\n`);
  const [code, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  return { code, stdout, stderr };
}

function parseAnswer(query: CredentialHelperQuery, stdout: string, server: string): Credentials {
  let answer: { Username?: unknown; Secret?: unknown };
  try {
    answer = JSON.parse(stdout) as typeof answer;
  } catch {
    // The text holds a secret: it is not shown, not even as a cause.
    throw helperError(query, "its answer is not JSON");
  }
  const { Username: username, Secret: secret } = answer;
  if (typeof username !== "string" || typeof secret !== "string") {
    throw helperError(query, `its answer for ${server} has no user name or no secret`);
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
