import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseSections } from "../../../src/object-storage/aws-files.ts";
import { findAwsCredentials } from "../../../src/object-storage/credentials.ts";
import { readBucketSettings } from "../../../src/object-storage/settings.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

const nowhere = { HOME: "/nonexistent" };
const read = (fields: Record<string, string>, environment: Record<string, string> = {}) =>
  readBucketSettings(new Map(Object.entries(fields)), { ...nowhere, ...environment });

describe("settings of a bucket", () => {
  test("have the defaults of BuildKit", () => {
    expect(read({ bucket: "b1", region: "eu-west-1" })).toEqual({
      bucket: "b1",
      region: "eu-west-1",
      endpoint: undefined,
      usePathStyle: false,
      blobsPrefix: "blobs/",
      manifestsPrefix: "manifests/",
      names: ["buildkit"],
      parallelism: 4,
      touchAfter: 86_400_000,
    });
  });

  test("are filled in from the environment", () => {
    const environment = {
      AWS_BUCKET: "b1",
      AWS_REGION: "r-1",
      AWS_ENDPOINT_URL_S3: "https://s3.example.com",
    };
    const found = read({}, environment);
    expect(found).toMatchObject({ bucket: "b1", region: "r-1", usePathStyle: false });
    expect(found.endpoint?.host).toBe("s3.example.com");
    expect(read({ bucket: "b2" }, environment).bucket).toBe("b2");
  });

  test.each([
    ["http://127.0.0.1:9000", true],
    ["http://[::1]:9000", true],
    ["http://minio:9000", true],
    ["http://localhost", true],
    ["https://s3.example.com", false],
  ])("%s can have the bucket in its name: %s", (endpoint, usePathStyle) => {
    expect(read({ bucket: "b1", endpoint_url: endpoint })).toMatchObject({
      usePathStyle,
      region: "us-east-1",
    });
    const said = read({
      bucket: "b1",
      endpoint_url: endpoint,
      use_path_style: String(!usePathStyle),
    });
    expect(said.usePathStyle).toBe(!usePathStyle);
  });

  test("prefixes stand before both kinds of keys", () => {
    const fields = { bucket: "b1", region: "r-1", prefix: "p/", blobs_prefix: "b-", name: "x;y" };
    expect(read(fields)).toMatchObject({
      blobsPrefix: "p/b-",
      manifestsPrefix: "p/manifests/",
      names: ["x", "y"],
    });
  });

  test.each<[Record<string, string>]>([
    [{ region: "r" }],
    [{ bucket: "b1" }],
    [{ bucket: "../b", region: "r" }],
    [{ bucket: "b1", region: "r/x" }],
    [{ bucket: "b1", endpoint_url: "ftp://x" }],
    [{ bucket: "b1", endpoint_url: "x" }],
    [{ bucket: "b1", endpoint_url: "https://me:secret@x.example" }],
    [{ bucket: "b1", region: "r", use_path_style: "maybe" }],
    [{ bucket: "b1", region: "r", upload_parallelism: "0" }],
    [{ bucket: "b1", region: "r", touch_refresh: "soon" }],
    [{ bucket: "b1", region: "r", name: ";" }],
    [{ bucket: "b1", region: "r", buckets: "b2" }],
  ])("are refused when they make no sense: %j", (fields) => {
    expect(() => read(fields)).toThrow(
      expect.objectContaining({ code: "OBJECT_STORAGE_SETTING_INVALID" }),
    );
  });
});

describe("credentials", () => {
  const find = (fields: Record<string, string>, environment: Record<string, string>) =>
    findAwsCredentials(new Map(Object.entries(fields)), { ...nowhere, ...environment });
  const inEnvironment = { AWS_ACCESS_KEY_ID: "E", AWS_SECRET_ACCESS_KEY: "e" };

  async function home(credentials: string, config = ""): Promise<string> {
    const folder = await temporaryFolder();
    mkdirSync(join(folder, ".aws"));
    writeFileSync(join(folder, ".aws/credentials"), credentials);
    writeFileSync(join(folder, ".aws/config"), config);
    return folder;
  }

  test("of the place win over those of the environment", () => {
    const fields = { access_key_id: "F", secret_access_key: "f", session_token: "t" };
    expect(find(fields, inEnvironment)).toMatchObject({ accessKeyId: "F", sessionToken: "t" });
    expect(find({}, inEnvironment)).toMatchObject({ accessKeyId: "E", secretAccessKey: "e" });
    expect(find({}, inEnvironment).sessionToken).toBeUndefined();
  });

  test("come from the profile last", async () => {
    const text =
      "[default]\naws_access_key_id = D\naws_secret_access_key=d\n[ci]\n# mine\naws_access_key_id=C\naws_secret_access_key=c=/+\naws_session_token=s\n";
    const HOME = await home(text, "[profile ci]\nregion = eu-west-9\n");
    expect(find({}, { HOME })).toMatchObject({ accessKeyId: "D" });
    expect(find({}, { HOME, AWS_PROFILE: "ci" })).toMatchObject({
      accessKeyId: "C",
      secretAccessKey: "c=/+",
      sessionToken: "s",
    });
    expect(read({ bucket: "b1" }, { HOME, AWS_PROFILE: "ci" }).region).toBe("eu-west-9");
    const file = join(HOME, ".aws/credentials");
    const moved = { AWS_SHARED_CREDENTIALS_FILE: file, AWS_PROFILE: "ci" };
    expect(find({}, moved)).toMatchObject({ accessKeyId: "C" });
  });

  test("that are half there, or not at all, are told", async () => {
    expect(() => find({ access_key_id: "F" }, inEnvironment)).toThrow(
      expect.objectContaining({ code: "OBJECT_STORAGE_CREDENTIALS_INVALID" }),
    );
    expect(() => find({}, {})).toThrow(
      expect.objectContaining({ code: "OBJECT_STORAGE_CREDENTIALS_MISSING" }),
    );
    const HOME = await home("", "[default]\nrole_arn = arn:x\n");
    expect(() => find({}, { HOME })).toThrow(
      expect.objectContaining({ hint: expect.stringContaining("role_arn") as string }),
    );
  });

  test("of a file with sections of sections", () => {
    const sections = parseSections("x=1\n[ a  b ]\nK = v\ns3 =\n  region = no\n;c\n[z]\n");
    expect(Object.fromEntries(sections.get("a b") ?? [])).toEqual({ k: "v", s3: "" });
    expect([...sections.keys()]).toEqual(["a b", "z"]);
  });
});
