import { isRetryableStatus, readBody, type HttpResponse } from "../core/index.ts";
import { objectStorageError, type ObjectStorageErrorCode } from "./errors.ts";
import type { AwsCredentials } from "./types.ts";

const largestError = 64 * 1024;

/** What a server says in XML of a failure. */
export interface ToldFailure {
  readonly code: string;
  readonly message: string;
}

/** The text of an element; the documents of S3 are flat enough for that. */
export function xmlText(document: string, element: string): string | undefined {
  const text = new RegExp(`<${element}>([^<]*)</${element}>`).exec(document)?.[1];
  return text
    ?.replaceAll("&quot;", '"')
    .replaceAll("&apos;", "'")
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll(/&#(?:x([0-9a-f]{1,5})|(\d{1,6}));/gi, (_, hex?: string, decimal?: string) =>
      String.fromCodePoint(hex === undefined ? Number(decimal) : Number.parseInt(hex, 16)),
    )
    .replaceAll("&amp;", "&");
}

/** undefined for a document that is no failure. */
export function parseFailure(document: string): ToldFailure | undefined {
  if (!document.includes("<Error>")) return undefined;
  return { code: xmlText(document, "Code") ?? "", message: xmlText(document, "Message") ?? "" };
}

/** An unfriendly answer as an error; its body is read for the reason. */
export async function answerError(
  response: HttpResponse,
  about: { readonly attempt: string; readonly credentials: AwsCredentials },
): Promise<Error> {
  // A body that breaks off only costs us the server's own words.
  const body = await readBody(response, largestError).catch(() => Buffer.alloc(0));
  return failureError({ response, told: parseFailure(body.toString("utf8")) }, about);
}

export function failureError(
  answer: { readonly response: HttpResponse; readonly told: ToldFailure | undefined },
  about: { readonly attempt: string; readonly credentials: AwsCredentials },
): Error {
  const { response, told } = answer;
  const { attempt, credentials } = about;
  const { status } = response;
  const name = told?.code ?? "";
  const code = codeFor(status, name);
  const reason = told?.message || name || `the server answers ${String(status)}`;
  const region = response.header("x-amz-bucket-region");
  return objectStorageError(code, `${attempt}: ${clean(reason, credentials)}`, {
    hint: hintFor(code, { name, region, origin: credentials.origin }),
    details: {
      host: response.url.host,
      status,
      name: clean(name, credentials),
      isRetryable: isPassing(status, name),
    },
  });
}

/** Failures that S3 tells with statuses that others use for what stays as it is. */
export function isPassing(status: number, name: string): boolean {
  return (
    isRetryableStatus(status) || ["RequestTimeout", "SlowDown", "InternalError"].includes(name)
  );
}

function codeFor(status: number, name: string): ObjectStorageErrorCode {
  const isIdentity =
    /^(?:InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|XAdminUserNotFound)$/;
  // versitygw answers 404 to an access key that it does not know.
  if (isIdentity.test(name)) return "OBJECT_STORAGE_CREDENTIALS_INVALID";
  if (status === 404) return "OBJECT_STORAGE_NOT_FOUND";
  return status === 401 || status === 403 ? "OBJECT_STORAGE_DENIED" : "OBJECT_STORAGE_FAILED";
}

function hintFor(
  code: ObjectStorageErrorCode,
  about: { readonly name: string; readonly region: string | undefined; readonly origin: string },
): string | undefined {
  const { name, region, origin } = about;
  if (region !== undefined && code !== "OBJECT_STORAGE_NOT_FOUND") {
    return `the bucket says that its region is ${/^[\w-]{1,40}$/.test(region) ? region : "another one"}`;
  }
  switch (code) {
    case "OBJECT_STORAGE_NOT_FOUND":
      return name === "NoSuchBucket" ? "make the bucket first, or check its name" : undefined;
    case "OBJECT_STORAGE_DENIED":
      return `ask for access to the bucket; the credentials come from ${origin}`;
    case "OBJECT_STORAGE_CREDENTIALS_INVALID":
      return `the credentials come from ${origin}`;
    default:
      return name === "RequestTimeTooSkewed" ? "set the clock of this machine" : undefined;
  }
}

/** Text of a stranger for a terminal: no control characters, not long, nothing secret. */
function clean(text: string, credentials: AwsCredentials): string {
  const { secretAccessKey, sessionToken, accessKeyId } = credentials;
  const hidden = [secretAccessKey, sessionToken ?? "", accessKeyId].reduce(
    (rest, secret) => (secret === "" ? rest : rest.replaceAll(secret, "***")),
    text,
  );
  return hidden.replace(/[\u0000-\u001f\u007f-\u009f]/g, " ").slice(0, 300);
}
