import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { openSecretSearch } from "../../../../src/build/secrets/secret-search.ts";
import { sameBytes, typicalSecrets } from "../../../support/typical-secrets.ts";

const root = resolve(import.meta.dirname, "../../../..");

test("no secret of any usual kind is found in this project's own files, where none is", () => {
  const search = openSecretSearch(
    new Map(Object.entries(typicalSecrets).map(([id, content]) => [id, Buffer.from(content)])),
  );
  expect(search.skipped).toEqual([]);
  let searched = 0;
  for (const folder of ["fixtures", "docs"]) {
    const entries = readdirSync(join(root, folder), { recursive: true, withFileTypes: true });
    for (const { parentPath, name } of entries.filter((entry) => entry.isFile())) {
      const path = join(parentPath, name);
      expect(search.find(readFileSync(path)), path).toEqual([]);
      searched += 1;
    }
  }
  expect(searched).toBeGreaterThan(1000);
});

test("keys of AWS are found beside what else is in their file, slashes or not", () => {
  const keys = Array.from({ length: 50 }, (_, at) => sameBytes(`aws ${String(at)}`, 30));
  const texts = keys.map((key) => key.toString("base64"));
  expect(texts.filter((text) => text.includes("/")).length).toBeGreaterThan(10);
  for (const key of ["wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ...texts]) {
    const file = `[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = ${key}\n`;
    const search = openSecretSearch(new Map([["aws", Buffer.from(file)]]));
    expect(search.find(Buffer.from(`SECRET=${key};`)), key).toEqual([
      { secret: "aws", form: "plain" },
    ]);
  }
});

test("paths in a secret's file are no secrets", () => {
  const path = "repository/maven-central/org/SpringBoot2/WebMvc/AutoConfigure/Jar1";
  const file = `url = https://packages.example.com/${path}\npassword = Tr0ub4dor&3\n`;
  const search = openSecretSearch(new Map([["settings", Buffer.from(file)]]));
  expect(search.find(Buffer.from(`RUN curl https://mirror/${path}`))).toEqual([]);
});

test("and each is found where it is", () => {
  const search = openSecretSearch(
    new Map(Object.entries(typicalSecrets).map(([id, content]) => [id, Buffer.from(content)])),
  );
  for (const [secret, content] of Object.entries(typicalSecrets)) {
    expect(search.find(Buffer.from(`a\n${content}b`))).toContainEqual({ secret, form: "plain" });
  }
});
