import { bareHost, isLoopback, parseBoolean, parseSpan } from "../core/index.ts";
import { readAwsProfile, type Environment } from "./aws-files.ts";
import { objectStorageError } from "./errors.ts";
import type { BucketSettings } from "./types.ts";

/** What may be written about a bucket; the rest belongs to whoever keeps something in it. */
export const bucketFields = [
  "bucket",
  "region",
  "endpoint_url",
  "use_path_style",
  "prefix",
  "blobs_prefix",
  "manifests_prefix",
  "name",
  "access_key_id",
  "secret_access_key",
  "session_token",
  "upload_parallelism",
  "touch_refresh",
] as const;

const day = 86_400_000;

/**
 * Reads the settings of a bucket as BuildKit calls them; `AWS_BUCKET`, `AWS_REGION` and `AWS_ENDPOINT_URL_S3` fill in.
 * @throws OBJECT_STORAGE_SETTING_INVALID
 */
export function readBucketSettings(
  fields: ReadonlyMap<string, string>,
  environment: Environment = process.env,
): BucketSettings {
  const read = (name: string, ...variables: readonly string[]): string =>
    [fields.get(name), ...variables.map((variable) => environment[variable])].find(Boolean) ?? "";
  const unknown = [...fields.keys()].find((name) => !bucketFields.some((known) => known === name));
  if (unknown !== undefined) {
    throw invalid(`${unknown} is not known`, `the settings are ${bucketFields.join(", ")}`);
  }
  const endpoint = readEndpoint(read("endpoint_url", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"));
  const prefix = read("prefix");
  return {
    bucket: readBucket(read("bucket", "AWS_BUCKET")),
    region: readRegion(read("region", "AWS_REGION", "AWS_DEFAULT_REGION"), {
      endpoint,
      environment,
    }),
    endpoint,
    usePathStyle: readPathStyle(fields.get("use_path_style"), endpoint),
    blobsPrefix: prefix + (fields.get("blobs_prefix") ?? "blobs/"),
    manifestsPrefix: prefix + (fields.get("manifests_prefix") ?? "manifests/"),
    names: readNames(fields.get("name")),
    parallelism: readParallelism(fields.get("upload_parallelism")),
    touchAfter: readTouch(fields.get("touch_refresh")),
  };
}

function readBucket(text: string): string {
  if (text === "") throw invalid("there is no bucket", "write bucket=NAME, or set AWS_BUCKET");
  if (/^[\w][\w.-]{1,254}$/.test(text)) return text;
  throw invalid(`${JSON.stringify(text)} is no name of a bucket`, "write its name alone");
}

function readRegion(
  text: string,
  {
    endpoint,
    environment,
  }: { readonly endpoint: URL | undefined; readonly environment: Environment },
): string {
  const region = text || readAwsProfile(environment).values.get("region") || "";
  if (/^[\w-]+$/.test(region)) return region;
  if (region !== "") throw invalid(`${JSON.stringify(region)} is no region`, "such as eu-west-1");
  // Other servers have one region, and most take any name for it.
  if (endpoint !== undefined) return "us-east-1";
  throw invalid("there is no region", "write region=NAME, or set AWS_REGION");
}

function readEndpoint(text: string): URL | undefined {
  if (text === "") return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.username === "") return url;
  throw invalid("endpoint_url is no URL", "write for example https://storage.example.com");
}

/** An address has no names below it. */
function readPathStyle(text: string | undefined, endpoint: URL | undefined): boolean {
  if (text !== undefined) return readSwitch("use_path_style", text);
  if (endpoint === undefined) return false;
  const host = bareHost(endpoint);
  return isLoopback(host) || /^[\d.]+$|:/.test(host) || !host.includes(".");
}

function readSwitch(name: string, text: string): boolean {
  const isOn = parseBoolean(text);
  if (isOn !== undefined) return isOn;
  throw invalid(`${name}=${text} is neither true nor false`, "write true or false");
}

function readNames(text = "buildkit"): readonly string[] {
  const names = text.split(";").filter((name) => name !== "");
  if (names.length > 0) return names;
  throw invalid("name is empty", "write name=NAME, several of them with semicolons between");
}

function readParallelism(text = "4"): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= 1 && number <= 64) return number;
  throw invalid(`upload_parallelism=${text} is no number from 1 to 64`, "write for example 4");
}

function readTouch(text = "24h"): number {
  const span = text === "0" ? 0 : parseSpan(text);
  if (span !== undefined) return span === 0 ? day * 36_500 : span;
  throw invalid(`touch_refresh=${text} is no span of time`, "write for example 24h");
}

function invalid(what: string, hint: string): Error {
  return objectStorageError("OBJECT_STORAGE_SETTING_INVALID", `use object storage: ${what}`, {
    hint,
  });
}
