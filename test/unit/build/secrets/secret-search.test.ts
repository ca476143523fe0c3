import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PatternIndex } from "../../../../src/build/secrets/pattern-index.ts";
import { openSecretSearch } from "../../../../src/build/secrets/secret-search.ts";
import "../../../support/property-seed.ts";
import { pseudoRandom, pseudoRandomBytes } from "../../../support/random.ts";

const token = "s3cr3t/Tok+en=of#the world";

const search = openSecretSearch(new Map([["tok", Buffer.from(`${token}\n`)]]));

function formsIn(text: string | Buffer): readonly string[] {
  return search.find(Buffer.from(text)).map(({ form }) => form);
}

describe("a secret is found", () => {
  test("as it is, between anything", () => {
    expect(search.find(Buffer.from(`x${token}y`))).toEqual([{ secret: "tok", form: "plain" }]);
    expect(formsIn(token)).toEqual(["plain"]);
    expect(formsIn(token.slice(1))).toEqual([]);
  });

  test.each(["base64", "base64url"] as const)(
    "as %s, wherever it stands in the text",
    (encoding) => {
      for (let before = 0; before < 7; before++) {
        for (let after = 0; after < 4; after++) {
          const text = `${"u".repeat(before)}${token}${":".repeat(after)}`;
          expect(formsIn(`auth: ${Buffer.from(text).toString(encoding)};`)).toEqual(["base64"]);
        }
      }
    },
  );

  test("as base64 in lines of 16 characters and more, with blanks before them", () => {
    for (let before = 0; before < 60; before++) {
      const text = Buffer.from(`${"abcdefg".repeat(9).slice(before)}${token} and more`);
      for (const width of [16, 17, 24, 60, 64, 76]) {
        const lines = text.toString("base64").match(new RegExp(`.{1,${String(width)}}`, "g")) ?? [];
        expect(formsIn(lines.join("\n"))).toEqual(["base64"]);
        expect(formsIn(lines.join("\r\n    "))).toEqual(["base64"]);
      }
    }
  });

  test("a short one as base64 in lines", () => {
    const short = openSecretSearch(new Map([["pin", Buffer.from("hunter2!")]]));
    for (let before = 0; before < 80; before++) {
      const encoded = Buffer.from(`${"z".repeat(before)}hunter2!`).toString("base64");
      for (const lineBreak of ["\n", "\r\n"]) {
        const text = (encoded.match(/.{1,76}/g) ?? []).join(lineBreak);
        expect(short.find(Buffer.from(text)).length, text).toBe(1);
      }
    }
  });

  test("in hex, also as xxd breaks it", () => {
    const hex = Buffer.from(token).toString("hex");
    expect(formsIn(hex)).toEqual(["hex"]);
    expect(formsIn(hex.toUpperCase())).toEqual(["hex"]);
    expect(formsIn(`${hex.slice(0, 30)}\n${hex.slice(30)}`)).toEqual(["hex"]);
  });

  test("URL-encoded, by each of the usual encoders", () => {
    const spellings = [
      encodeURIComponent(token),
      new URLSearchParams({ t: token }).toString(),
      encodeURIComponent(token).replaceAll("%2F", "/"),
      encodeURIComponent(token).toLowerCase().replace("tok", "Tok"),
      [...Buffer.from(token)].map((byte) => `%${byte.toString(16)}`).join(""),
    ];
    for (const spelling of spellings)
      expect(formsIn(`?q=${spelling}&r`), spelling).toEqual(["url"]);
  });

  test("across the pieces of a stream, once", () => {
    const text = Buffer.from(`${"-".repeat(300)}${token}${"-".repeat(300)}${token}`);
    for (const size of [1, 7, 64, 301, 310, 1000]) {
      const stream = search.openStream();
      const found = [];
      for (let at = 0; at < text.length; at += size) {
        found.push(...stream.push(text.subarray(at, at + size)));
      }
      expect(found).toEqual([{ secret: "tok", form: "plain" }]);
    }
  });

  test("wherever patterns stand in any text, as a plain search says", () => {
    const letter = fc.constantFrom(..."ab\n=");
    const word = fc
      .array(letter, { minLength: 8, maxLength: 20 })
      .map((letters) => letters.join(""));
    const text = fc.array(fc.oneof(letter, word), { maxLength: 60 }).map((parts) => parts.join(""));
    fc.assert(
      fc.property(fc.uniqueArray(word, { minLength: 1, maxLength: 8 }), text, (words, around) => {
        const patterns = words.map((bytes) => ({ bytes: Buffer.from(bytes), isBroken: false }));
        const found = new Set<string>();
        new PatternIndex(patterns).find(Buffer.from(around), ({ pattern, start, end }) => {
          expect(around.slice(start, end)).toBe(pattern.bytes.toString());
          found.add(`${pattern.bytes.toString("hex")} ${String(start)}`);
        });
        const wanted = new Set<string>();
        for (const each of words) {
          for (let at = around.indexOf(each); at >= 0; at = around.indexOf(each, at + 1)) {
            wanted.add(`${Buffer.from(each).toString("hex")} ${String(at)}`);
          }
        }
        expect(found).toEqual(wanted);
      }),
    );
  });
});

test("nothing is found in what has nothing to do with it", () => {
  const random = pseudoRandom(7);
  const noise = Buffer.from(Array.from({ length: 1_000_000 }, () => Math.floor(random() * 256)));
  expect(search.find(noise)).toEqual([]);
  expect(formsIn(noise.toString("base64"))).toEqual([]);
  expect(formsIn(noise.toString("hex"))).toEqual([]);
  expect(formsIn(Buffer.alloc(100_000))).toEqual([]);
});

test("what is shown has stars in the place of every form of it", () => {
  const hidden = `a ${token} b ${Buffer.from(token).toString("hex")} c ${token}${token}.`;
  expect(search.blotOut(Buffer.from(hidden)).toString()).toBe("a **** b **** c ********.");
  const clean = Buffer.from("nothing here");
  expect(search.blotOut(clean)).toBe(clean);
});

describe("what is looked for", () => {
  const skipped = (content: string): boolean =>
    openSecretSearch(new Map([["s", Buffer.from(content)]])).skipped.length === 1;
  const finds = (content: string, text: string): boolean =>
    openSecretSearch(new Map([["s", Buffer.from(content)]])).find(Buffer.from(text)).length > 0;

  test("short and ordinary secrets are left out, and it is said", () => {
    for (const content of [
      ...["", "\n", "true", "1234567", "hunter2"],
      ...[
        "production",
        "12345678901",
        "us-east-1",
        "localhost",
        "aaaaaaaaaaaaaaaaaaaa",
        "Password",
      ],
    ]) {
      expect(skipped(content), content).toBe(true);
      expect(finds(content, `in ${content} it`), content).toBe(false);
    }
    for (const content of [
      "hunter22",
      "pa55word",
      "correct-horse-battery",
      "passWordy",
      "größeres",
    ]) {
      expect(skipped(content), content).toBe(false);
      expect(finds(content, `in ${content} it`), content).toBe(true);
    }
  });

  test("a line break at the end does not count", () => {
    for (const end of ["", "\n", "\r\n", "\n\n"]) {
      expect(finds(`hunter22-hunter22${end}`, "is hunter22-hunter22.")).toBe(true);
    }
  });

  test("the token in a file of settings, and not the settings", () => {
    const npmrc =
      "registry=https://registry.example.com/repository/npm-group-2/\n//registry.example.com/:_authToken=npm_A1b2C3d4E5f6G7h8I9j0K1l2M3n4\nalways-auth=true\n";
    expect(finds(npmrc, "token: npm_A1b2C3d4E5f6G7h8I9j0K1l2M3n4")).toBe(true);
    expect(finds(npmrc, Buffer.from("x npm_A1b2C3d4E5f6G7h8I9j0K1l2M3n4").toString("base64"))).toBe(
      true,
    );
    expect(
      finds(npmrc, '"resolved": "https://registry.example.com/repository/npm-group-2/a.tgz"'),
    ).toBe(false);
    expect(finds(npmrc, "always-auth=true\n")).toBe(false);
  });

  test("the lines of a private key, and no certificate", () => {
    const makeBody = (seed: number): string =>
      (
        pseudoRandomBytes(600, seed)
          .toString("base64")
          .match(/.{1,64}/g) ?? []
      ).join("\n");
    const block = (title: string, body: string): string =>
      `-----BEGIN ${title}-----\n${body}\n-----END ${title}-----\n`;
    const body = makeBody(1);
    const key = block("PRIVATE KEY", body);
    const certificate = block("CERTIFICATE", makeBody(2));
    expect(finds(key, `key = """${key}"""`)).toBe(true);
    expect(finds(key, body.replaceAll("\n", ""))).toBe(true);
    expect(finds(key, JSON.stringify({ key }))).toBe(true);
    expect(finds(JSON.stringify({ key }), key)).toBe(true);
    expect(finds(key, "-----BEGIN PRIVATE KEY-----\nMIIE")).toBe(false);
    expect(skipped(certificate)).toBe(true);
    expect(finds(`${certificate}${key}`, certificate)).toBe(false);
    expect(finds(`${certificate}${key}`, key)).toBe(true);
  });
});
