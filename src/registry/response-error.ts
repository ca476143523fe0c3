import { isRetryableStatus, readBody, type HttpResponse, type JsonValue } from "../core/index.ts";
import { registryError, type RegistryErrorCode } from "./errors.ts";

/** Circumstances that make an unfriendly answer understandable. */
export interface AnswerCircumstances {
  /** Lower case: what was attempted on what. */
  readonly attempt: string;
  readonly host: string;
  /** What people call the registry that this is about; another host than the one that answers, when that gives tokens. */
  readonly registry: string;
  /** Where the credentials in use came from; undefined for anonymous access. */
  readonly credentialOrigin: string | undefined;
  /** Texts that must not be shown, although the registry may repeat them. */
  readonly secrets: readonly string[];
}

const errorBodyLimit = 64 * 1024;

/** Turns an unfriendly answer into an error, and reads its body for the reason. */
export async function responseError(
  response: HttpResponse,
  circumstances: AnswerCircumstances,
): Promise<Error> {
  // A body that breaks off only costs us the registry's own words.
  const body = await readBody(response, errorBodyLimit).catch(() => Buffer.alloc(0));
  const { status } = response;
  const { attempt, host, secrets } = circumstances;
  const told = parseErrors(body).map((error) => ({
    code: clean(error.code, secrets),
    message: clean(error.message, secrets),
    ...(error.detail === undefined ? {} : { detail: clean(error.detail, secrets) }),
  }));
  const rateLimit = rateLimitOf(response);
  const code = codeFor(status, told[0]?.code);
  const reason = told.map(({ code: name, message }) => message || name).join("; ");
  return registryError(code, `${attempt}: ${reason || `the registry answers ${String(status)}`}`, {
    hint: status === 413 ? tooLargeHint : hintFor(code, circumstances, rateLimit),
    details: {
      host,
      status,
      errors: told as readonly JsonValue[],
      isRetryable: isRetryableStatus(status),
      retryAfter: response.header("retry-after"),
      ...(rateLimit === undefined ? {} : { rateLimit }),
    },
  });
}

/** What to think of 413. */
export const tooLargeHint = "it is larger than the registry, or a proxy before it, takes";

/** Docker Hub and others tell how much is left: `100;w=21600`. */
function rateLimitOf(
  response: HttpResponse,
): { readonly limit: string; readonly remaining: string } | undefined {
  const [limit, remaining] = ["ratelimit-limit", "ratelimit-remaining"].map(
    (name) => /^\d+/.exec(response.header(name) ?? "")?.[0],
  );
  return limit === undefined || remaining === undefined ? undefined : { limit, remaining };
}

function codeFor(status: number, first: string | undefined): RegistryErrorCode {
  switch (status) {
    case 401:
      return "REGISTRY_UNAUTHORIZED";
    case 403:
      return "REGISTRY_DENIED";
    case 404:
      return "REGISTRY_NOT_FOUND";
    case 429:
      return "REGISTRY_LIMITED";
    default:
      return first === "TOOMANYREQUESTS" ? "REGISTRY_LIMITED" : "REGISTRY_FAILED";
  }
}

function hintFor(
  code: RegistryErrorCode,
  about: AnswerCircumstances,
  rateLimit: ReturnType<typeof rateLimitOf>,
): string | undefined {
  const who =
    about.credentialOrigin === undefined
      ? `no credentials were sent; \`tsbuild login ${about.registry}\` stores some`
      : `the credentials come from ${about.credentialOrigin}`;
  switch (code) {
    case "REGISTRY_UNAUTHORIZED":
      return `the repository may not exist or may be private; ${who}`;
    case "REGISTRY_DENIED":
      return `ask for access to the repository; ${who}`;
    case "REGISTRY_NOT_FOUND":
      return "check the spelling of the name and the tag";
    case "REGISTRY_LIMITED":
      return [
        about.credentialOrigin === undefined
          ? "wait, or log in for a higher limit"
          : "wait until the registry allows more requests",
        ...(rateLimit === undefined
          ? []
          : [`${rateLimit.remaining} of ${rateLimit.limit} requests are left`]),
      ].join("; ");
    default:
      return undefined;
  }
}

interface ToldError {
  readonly code: string;
  readonly message: string;
  readonly detail: string | undefined;
}

function parseErrors(body: Buffer): readonly ToldError[] {
  let value: unknown;
  try {
    value = JSON.parse(body.toString("utf8"));
  } catch {
    // Proxies and load balancers answer in HTML; the status says enough.
    return [];
  }
  const list =
    isObject(value) && Array.isArray(value["errors"]) ? (value["errors"] as unknown[]) : [];
  return list.slice(0, 5).flatMap((entry) => {
    if (!isObject(entry)) return [];
    const { code, message, detail } = entry;
    return [
      {
        code: typeof code === "string" ? code : "",
        message: typeof message === "string" ? message : "",
        detail: detail === undefined || detail === null ? undefined : JSON.stringify(detail),
      },
    ];
  });
}

/** Text of a stranger for a terminal: no control characters, not long, nothing secret. */
function clean(text: string, secrets: readonly string[]): string {
  const hidden = secrets.reduce(
    (rest, secret) => (secret === "" ? rest : rest.replaceAll(secret, "***")),
    text,
  );

  return hidden.replace(/[\u0000-\u001f\u007f-\u009f]/g, " ").slice(0, 300);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
