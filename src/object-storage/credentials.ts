import { readAwsProfile, type AwsProfile, type Environment } from "./aws-files.ts";
import { objectStorageError } from "./errors.ts";
import type { AwsCredentials } from "./types.ts";

/** What a user wrote for a place. */
type Fields = ReadonlyMap<string, string>;

/**
 * Who signs requests: what the place says, else `AWS_ACCESS_KEY_ID` and its fellows, else the profile of the shared files.
 * @throws OBJECT_STORAGE_CREDENTIALS_MISSING, OBJECT_STORAGE_CREDENTIALS_INVALID
 */
export function findAwsCredentials(
  fields: Fields,
  environment: Environment = process.env,
): AwsCredentials {
  const told = choose(
    [fields.get("access_key_id"), fields.get("secret_access_key"), fields.get("session_token")],
    "the place itself",
  );
  if (told !== undefined) return told;
  const given = choose(
    [
      environment["AWS_ACCESS_KEY_ID"],
      environment["AWS_SECRET_ACCESS_KEY"],
      environment["AWS_SESSION_TOKEN"],
    ],
    "the environment",
  );
  if (given !== undefined) return given;
  const profile = readAwsProfile(environment);
  const { values } = profile;
  const kept = choose(
    [
      values.get("aws_access_key_id"),
      values.get("aws_secret_access_key"),
      values.get("aws_session_token"),
    ],
    `profile ${profile.name} of ${profile.credentialsFile}`,
  );
  if (kept !== undefined) return kept;
  throw objectStorageError(
    "OBJECT_STORAGE_CREDENTIALS_MISSING",
    "sign a request to object storage: there are no credentials",
    {
      hint: hintFor(profile, environment),
      details: { profile: profile.name, file: profile.credentialsFile },
    },
  );
}

function choose(
  [accessKeyId, secretAccessKey, sessionToken]: readonly (string | undefined)[],
  origin: string,
): AwsCredentials | undefined {
  const hasId = accessKeyId !== undefined && accessKeyId !== "";
  const hasSecret = secretAccessKey !== undefined && secretAccessKey !== "";
  if (hasId && hasSecret) {
    return {
      ...{ accessKeyId, secretAccessKey, origin },
      ...(sessionToken === undefined || sessionToken === "" ? {} : { sessionToken }),
    };
  }
  if (!hasId && !hasSecret) return undefined;
  throw objectStorageError(
    "OBJECT_STORAGE_CREDENTIALS_INVALID",
    `read credentials of ${origin}: ${hasId ? "the secret access key" : "the access key id"} is missing`,
    { hint: "give both, or none", details: { origin } },
  );
}

/** Ways to credentials that Amazon's own tools know, and this one does not. */
function hintFor({ values }: AwsProfile, environment: Environment): string {
  const other = ["role_arn", "sso_session", "sso_start_url", "credential_process"].find((name) =>
    values.has(name),
  );
  const known =
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write them into ~/.aws/credentials";
  if (other !== undefined) return `${other} of the profile is not supported: ${known}`;
  const isRole = environment["AWS_WEB_IDENTITY_TOKEN_FILE"] !== undefined;
  return isRole ? `roles are not assumed: ${known}` : known;
}
