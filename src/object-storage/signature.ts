import { createHash, createHmac } from "node:crypto";
import type { AwsCredentials } from "./types.ts";

export interface SignedRequest {
  readonly method: string;
  readonly url: URL;
  /** Lower-case names; all are signed. */
  readonly headers: Readonly<Record<string, string>>;
  /** sha256 of the body in hex. */
  readonly payloadHash: string;
}

export interface Signer {
  readonly credentials: AwsCredentials;
  readonly region: string;
  readonly now: Date;
}

const algorithm = "AWS4-HMAC-SHA256";

/**
 * The headers of a request with a signature, as S3 wants them. The URL's path is taken as it is written: each character of a key
 * is encoded once.
 * @see AWS Signature Version 4, "Create a signed AWS API request"
 */
export function signRequest(
  request: SignedRequest,
  { credentials, region, now }: Signer,
): Readonly<Record<string, string>> {
  const { method, url, payloadHash } = request;
  const time = now.toISOString().replace(/[-:]|\.\d{3}/g, "");
  const day = time.slice(0, 8);
  const token = credentials.sessionToken;
  const headers: Readonly<Record<string, string>> = {
    ...request.headers,
    host: url.host,
    "x-amz-content-sha256": payloadHash,
    "x-amz-date": time,
    ...(token === undefined ? {} : { "x-amz-security-token": token }),
  };
  const names = Object.keys(headers).sort();
  const signedHeaders = names.join(";");
  const canonical = [
    method,
    url.pathname,
    canonicalQuery(url),
    ...names.map((name) => `${name}:${(headers[name] ?? "").trim().replace(/ +/g, " ")}`),
    "",
    signedHeaders,
    payloadHash,
  ].join("\n");
  const scope = `${day}/${region}/s3/aws4_request`;
  const text = [algorithm, time, scope, sha256(canonical)].join("\n");
  const key = [day, region, "s3", "aws4_request"].reduce<string | Buffer>(
    (last, part) => hmac(last, part),
    `AWS4${credentials.secretAccessKey}`,
  );
  const signature = hmac(key, text).toString("hex");
  const credential = `${credentials.accessKeyId}/${scope}`;
  return {
    ...headers,
    authorization: `${algorithm} Credential=${credential}, SignedHeaders=${signedHeaders}, Signature=${signature}`,
  };
}

/** sha256 in hex, as payload hashes are written. */
export function sha256(bytes: string | Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Every character but the unreserved ones of RFC 3986; slashes stay in paths only. */
export function encodeComponent(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function canonicalQuery({ searchParams }: URL): string {
  return [...searchParams]
    .map(([name, value]) => `${encodeComponent(name)}=${encodeComponent(value)}`)
    .sort()
    .join("&");
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
