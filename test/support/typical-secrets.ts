import { createHash } from "node:crypto";

/** The same bytes in every run. */
export function sameBytes(seed: string, length: number): Buffer {
  const parts = Array.from({ length: Math.ceil(length / 32) }, (_, index) =>
    createHash("sha256")
      .update(`${seed} ${String(index)}`)
      .digest(),
  );
  return Buffer.concat(parts).subarray(0, length);
}

const alphanumeric = (seed: string, length: number): string =>
  sameBytes(seed, 2 * length)
    .toString("base64")
    .replaceAll(/[^A-Za-z0-9]/g, "")
    .slice(0, length);

const lines = (text: string): string => (text.match(/.{1,64}/g) ?? []).join("\n");

/** What people give to builds: tokens, files of settings with tokens in them, keys. */
export const typicalSecrets = {
  hex: sameBytes("hex", 20).toString("hex"),
  base64: sameBytes("base64", 32).toString("base64"),
  uuid: "7f9c2ba4-e88f-4b6d-9d12-0a2b51c7e3f5",
  github: `ghp_${alphanumeric("github", 36)}`,
  password: "Tr0ub4dor&3",
  phrase: "correct horse battery staple",
  aws: `[default]\naws_access_key_id = AKIA${alphanumeric("id", 16).toUpperCase()}\naws_secret_access_key = ${sameBytes("aws", 30).toString("base64")}\nregion = eu-central-1\n`,
  jwt: [
    { alg: "HS256", typ: "JWT" },
    { sub: "1234567890", name: "John Doe", iat: 1516239022 },
  ]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .concat(sameBytes("jwt", 32).toString("base64url"))
    .join("."),
  npmrc: `registry=https://registry.example.com/\n//registry.example.com/:_authToken=npm_${alphanumeric("npm", 36)}\nalways-auth=true\nstrict-ssl=true\n`,
  pip: `[global]\nindex-url = https://user:${alphanumeric("pip", 24)}@packages.example.com/simple\ntimeout = 60\n`,
  netrc: `machine github.com\nlogin x-access-token\npassword ${alphanumeric("netrc", 40)}\n`,
  docker: JSON.stringify(
    {
      auths: {
        "https://index.docker.io/v1/": { auth: sameBytes("docker", 40).toString("base64") },
      },
    },
    undefined,
    2,
  ),
  key: `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines(sameBytes("key", 400).toString("base64"))}\n-----END OPENSSH PRIVATE KEY-----\n`,
  settings:
    "<settings>\n  <servers>\n    <server>\n      <id>central</id>\n      <username>deploy</username>\n      <password>{jSMOWnoPFgsHVpMvz5VrIt5kRbzGpI8u+9EF1iFQyJQ=}</password>\n    </server>\n  </servers>\n</settings>\n",
};
