import { copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { discardBody, isTsbuildError, openHttpClient } from "../../src/core/index.ts";
import {
  checkCredentials,
  findStoredCredentials,
  saveCredentials,
  type RegistrySettings,
} from "../../src/registry/index.ts";
import { makeRandomImage } from "../support/random-image.ts";
import {
  htpasswdOfMe,
  startRegistryProcess,
  type RegistryProcess,
} from "../support/registry-process.ts";
import { failureOf } from "../support/expect-code.ts";
import {
  given,
  makeArtifact,
  me,
  openTestRepository as open,
  pullContent,
  pushContent,
} from "../support/registry-scenes.ts";
import {
  makeAuthority,
  type CertificatePair,
  type TestAuthority,
} from "../support/test-authority.ts";

const htpasswd = htpasswdOfMe;

let folder: string;
let authority: TestAuthority;
let client: CertificatePair;
let plain: RegistryProcess;
let secure: RegistryProcess;
let strict: RegistryProcess;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tsbuild-login-"));
  authority = await makeAuthority(folder);
  client = await authority.issue("client");
  const tls = await authority.issue("server");
  plain = await startRegistryProcess({ htpasswd });
  secure = await startRegistryProcess({ tls, htpasswd });
  strict = await startRegistryProcess({ tls, clientAuthority: authority.certificate });
});

afterAll(async () => {
  for (const registry of [plain, secure, strict]) await registry.stop();
  await rm(folder, { recursive: true, force: true });
});

describe("a registry with passwords", () => {
  test("is written and read with saved ones [R2.4, R3.8, R3.26]", async () => {
    const home = await mkdtemp(join(folder, "home-"));
    const env = { HOME: home, PATH: process.env["PATH"] };
    const domain = plain.host;
    await checkCredentials({ domain, credentials: me });
    await saveCredentials({ domain, credentials: me, env });
    const credentials = findStoredCredentials(env);
    const image = await makeRandomImage({ seed: "passwords" });
    await pushContent(open(domain, { access: "push", credentials }), image, "1");
    expect((await pullContent(open(domain, { credentials }), "1")).size).toBe(image.blobs.size);
    expect(await failureOf(open(domain).resolve("1"))).toMatchObject({
      code: "REGISTRY_UNAUTHORIZED",
    });
  });
});

describe("a registry with TLS", () => {
  test("by an authority in its certificate folder; other ones are not believed [R2.5]", async () => {
    const settings = await certificatesFor(secure.host, { authority: authority.certificate });
    const image = await makeRandomImage({ seed: "tls" });
    const common = { settings, credentials: given(me) };
    await pushContent(open(secure.host, { access: "push", ...common }), image, "1");
    expect((await pullContent(open(secure.host, common), "1")).size).toBe(image.blobs.size);
    const stranger = await makeAuthority(await mkdtemp(join(folder, "stranger-")));
    const wrong = await certificatesFor(secure.host, { authority: stranger.certificate });
    const failed = open(secure.host, { settings: wrong, credentials: given(me) }).resolve("1");
    expect(await failureOf(failed)).toMatchObject({ code: "REGISTRY_UNREACHABLE" });
  });

  test.each(["SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS"])(
    "by an authority of %s [R2.21]",
    async (name) => {
      const trusted = await mkdtemp(join(folder, "trusted-"));
      const path = join(trusted, "authority.pem");
      await copyFile(authority.certificate, path);
      const value = name === "SSL_CERT_DIR" ? trusted : path;
      const url = new URL(`https://${secure.host}/v2/`);
      for (const [env, expected] of [
        [{ [name]: value }, 401],
        [{}, "HTTP_FAILED"],
      ] as const) {
        const http = openHttpClient({ env });
        const answer = http.request({ method: "GET", url }).then(
          async (response) => {
            await discardBody(response);
            return response.status;
          },
          (error: unknown) => (isTsbuildError(error) ? error.code : error),
        );
        expect(await answer).toBe(expected);
        await http.close();
      }
    },
  );

  test("that wants to see a certificate sees ours [R2.6]", async () => {
    const ca = { authority: authority.certificate };
    const settings = await certificatesFor(strict.host, { ...ca, client });
    const image = await makeRandomImage({ seed: "client" });
    await pushContent(open(strict.host, { access: "push", settings }), image, "1");
    expect((await pullContent(open(strict.host, { settings }), "1")).size).toBe(image.blobs.size);
    const without = await certificatesFor(strict.host, ca);
    const failed = open(strict.host, { settings: without }).resolve("1");
    expect((await failureOf(failed)).code).toBe("REGISTRY_UNREACHABLE");
  });
});

test("a real registry keeps referrers under their tag, and removes [R8.1, R8.2, R8.4, R8.5]", async () => {
  const credentials = given(me);
  const repository = open(plain.host, { path: "removal", access: "push", credentials });
  const image = await makeRandomImage({ seed: "removal" });
  await pushContent(repository, image, "1");
  const artifact = makeArtifact(image.root, "a/sbom");
  await pushContent(repository, artifact, "sbom");
  const found = await repository.listReferrers(image.root.digest);
  expect(found.map(({ digest, artifactType }) => [digest, artifactType])).toEqual([
    [artifact.root.digest, "a/sbom"],
  ]);
  await repository.deleteManifest(artifact.root.digest);
  expect(await repository.listReferrers(image.root.digest)).toEqual([]);
  await repository.deleteManifest(image.root.digest);
  expect(await repository.resolve("1")).toBeUndefined();
});

async function certificatesFor(
  host: string,
  files: { readonly authority: string; readonly client?: CertificatePair },
): Promise<RegistrySettings> {
  const system = await mkdtemp(join(folder, "etc-"));
  const place = join(system, "docker/certs.d", host);
  await mkdir(place, { recursive: true });
  await copyFile(files.authority, join(place, "ca.crt"));
  if (files.client !== undefined) {
    await copyFile(files.client.certificate, join(place, "me.cert"));
    await copyFile(files.client.key, join(place, "me.key"));
  }
  return { env: { HOME: "/nonexistent" }, system };
}
