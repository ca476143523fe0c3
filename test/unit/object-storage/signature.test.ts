import { expect, test } from "vitest";
import { encodeComponent, sha256, signRequest } from "../../../src/object-storage/signature.ts";

/** Signed by botocore 1.44.5 (S3SigV4Auth, region eu-west-1), with its clock at this time. */
const now = new Date("2026-11-21T20:05:09Z");
const foreign: readonly {
  readonly name: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly token: string | undefined;
  readonly signedHeaders: string;
  readonly signature: string;
}[] = [
  {
    name: "a plain read",
    method: "GET",
    url: "https://bucket.s3.eu-west-1.amazonaws.com/prefix/blobs/sha256%3Aabc",
    headers: {},
    body: "",
    token: undefined,
    signedHeaders: "host;x-amz-content-sha256;x-amz-date",
    signature: "af7e8b6caffec0d237a0d1c4bc4435be1f35193e0f142ea2c39e0510a9925e74",
  },
  {
    name: "a range",
    method: "GET",
    url: "http://127.0.0.1:9000/bucket/a%20b/%C3%A9%2B%21%27%28%29%2A~",
    headers: { range: "bytes=5-" },
    body: "",
    token: undefined,
    signedHeaders: "host;range;x-amz-content-sha256;x-amz-date",
    signature: "81ea45e4d3de19db4d18757b7ea3cad33ee3c1e2ccc71c84c9dbb7ca8f82d395",
  },
  {
    name: "a part",
    method: "PUT",
    url: "https://bucket.s3.eu-west-1.amazonaws.com/k?partNumber=2&uploadId=a%2Fb%3D%3D%20c",
    headers: { "content-type": "text/plain" },
    body: "hello",
    token: undefined,
    signedHeaders: "content-type;host;x-amz-content-sha256;x-amz-date",
    signature: "b7086a7d0bbfaa198cff2140e39aaeeae9595853d7c548bdff052095938d1684",
  },
  {
    name: "a query without a value",
    method: "POST",
    url: "https://bucket.s3.eu-west-1.amazonaws.com/k?uploads=",
    headers: {},
    body: "",
    token: undefined,
    signedHeaders: "host;x-amz-content-sha256;x-amz-date",
    signature: "473b115bf929dbb3d9d6e5a870cb07a8fdfb0f8e3fc6ba0915bde73c010d81e0",
  },
  {
    name: "a session",
    method: "PUT",
    url: "https://bucket.s3.eu-west-1.amazonaws.com/m/n",
    headers: { "if-none-match": "*" },
    body: "{}",
    token: "token/with+all==",
    signedHeaders: "host;if-none-match;x-amz-content-sha256;x-amz-date;x-amz-security-token",
    signature: "aa05a04c9fc165ba115a5ef7040200c595d4d2a1775564dcb62fde16e73687d3",
  },
];

test.each(foreign)("$name is signed as botocore signs it", (vector) => {
  const { method, url, headers, body, token, signedHeaders, signature } = vector;
  const signed = signRequest(
    { method, url: new URL(url), headers, payloadHash: sha256(body) },
    {
      credentials: {
        accessKeyId: "AKIDEXAMPLE",
        secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        sessionToken: token,
        origin: "the test",
      },
      region: "eu-west-1",
      now,
    },
  );
  expect(signed["authorization"]).toBe(
    `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261121/eu-west-1/s3/aws4_request, SignedHeaders=${signedHeaders}, Signature=${signature}`,
  );
  expect(signed["x-amz-date"]).toBe("20261121T200509Z");
  expect(signed["x-amz-security-token"]).toBe(token);
});

test("all but the unreserved characters is encoded", () => {
  expect(encodeComponent("AZaz09-_.~")).toBe("AZaz09-_.~");
  expect(encodeComponent("a/b c+!'()*:é")).toBe("a%2Fb%20c%2B%21%27%28%29%2A%3A%C3%A9");
});
