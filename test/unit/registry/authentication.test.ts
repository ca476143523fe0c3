import { describe, expect, onTestFinished, test, vi } from "vitest";
import { checkCredentials, listRepositories } from "../../../src/registry/index.ts";
import { joinScopes } from "../../../src/registry/scopes.ts";
import { parseChallenges } from "../../../src/registry/challenge.ts";
import { startLocalServer } from "../../support/local-server.ts";
import { startFakeRegistry } from "../../support/registry.ts";
import { makeRandomImage } from "../../support/random-image.ts";
import { failureOf } from "../../support/expect-code.ts";
import {
  given,
  me,
  openTestRepository as open,
  pushContent,
} from "../../support/registry-scenes.ts";
import { startTokenWorld } from "../../support/token-server.ts";

const settings = { env: { HOME: "/nonexistent" }, system: "/nonexistent" };
const identity = { type: "identity-token", token: "identity-1" } as const;

describe("challenges", () => {
  test.each([
    [['Bearer realm="a,b",scope="x y"'], [["bearer", { realm: "a,b", scope: "x y" }]]],
    [
      ['NEGOTIATE, Basic realm="r", BEARER Realm=plain,Service="s"'],
      [
        ["negotiate", {}],
        ["basic", { realm: "r" }],
        ["bearer", { realm: "plain", service: "s" }],
      ],
    ],
    [
      ["Negotiate", 'Basic realm="with \\"quotes\\""'],
      [
        ["negotiate", {}],
        ["basic", { realm: 'with "quotes"' }],
      ],
    ],
    [[""], []],
  ])("%j [R3.10]", (headers, expected) => {
    const found = parseChallenges(headers).map(({ scheme, parameters }) => [scheme, parameters]);
    expect(found).toEqual(expected);
  });

  test("Bearer is taken before Basic, whatever the order [R3.10]", async () => {
    const world = await startTokenWorld({
      answer: () => ({ token: "t" }),
      challenge: () => 'Basic realm="x", Bearer realm="REALM"',
      accepts: (sent) => sent === "Bearer t",
    });
    expect(await tagsOf(open(world.host, { credentials: given(me) }))).toEqual(["1"]);
  });
});

describe("scopes", () => {
  test.each([
    [[], ["b:y:pull", "a:x:push,pull", "b:y:pull"], ["a:x:pull,push", "b:y:pull"]],
    [["b:y:delete"], ["a:x:pull", "b:y:pull"], ["b:y:delete,pull", "a:x:pull"]],
    [["a:host:5000/x:pull"], ["a:host:5000/x:push"], ["a:host:5000/x:pull,push"]],
    [[], [], []],
  ])("%j before %j is %j [R3.16]", (demanded, wanted, expected) => {
    expect(joinScopes(demanded, wanted)).toEqual(expected);
  });

  test("that the registry demands come first the next time [R3.16, R3.18]", async () => {
    const world = await startTokenWorld({
      answer: ({ scopes }) => ({ token: scopes[0] === "repository:z:pull" ? "good" : "bad" }),
      challenge: () => 'Bearer realm="REALM",scope="repository:z:pull"',
      accepts: (sent) => sent === "Bearer good",
    });
    expect(await tagsOf(open(world.host))).toEqual(["1"]);
    expect(world.asked.at(-1)?.scopes).toEqual(["repository:z:pull", "repository:app:pull"]);
  });
});

describe("tokens", () => {
  test("are asked for with the realm's own query, and with Basic [R3.11]", async () => {
    const world = await startTokenWorld({
      answer: () => ({ access_token: "t" }),
      accepts: (sent) => sent === "Bearer t",
    });
    await tagsOf(open(world.host, { credentials: given(me) }));
    const [asked] = world.asked;
    expect(asked?.query.toString()).toBe("tenant=a&service=registry&scope=repository%3Aapp%3Apull");
    expect(asked?.authorization).toBe(`Basic ${Buffer.from("me:top-secret").toString("base64")}`);
    expect(world.asked).toHaveLength(1);
  });

  test("need neither service nor scope in the challenge [R3.16]", async () => {
    const world = await startTokenWorld({
      answer: () => ({ token: "t" }),
      challenge: () => 'Bearer realm="REALM"',
      accepts: (sent) => sent === "Bearer t",
    });
    expect(await tagsOf(open(world.host))).toEqual(["1"]);
    expect(world.asked[0]?.query.has("service")).toBe(false);
  });

  test.each([404, 405])("GET refused with %i is POST with the password [R3.13]", async (status) => {
    const world = await startTokenWorld({
      answer: ({ method }) => (method === "GET" ? status : { access_token: "t" }),
      accepts: (sent) => sent === "Bearer t",
    });
    await tagsOf(open(world.host, { credentials: given(me) }));
    expect(Object.fromEntries(world.asked.at(-1)?.form ?? [])).toEqual({
      grant_type: "password",
      username: "me",
      password: "top-secret",
      client_id: "tsbuild",
      service: "registry",
      scope: "repository:app:pull",
    });
  });

  test.each([400, 401, 404, 405])("POST refused with %i is GET [R3.13]", async (status) => {
    const world = await startTokenWorld({
      answer: ({ method }) => (method === "POST" ? status : { token: "t" }),
      accepts: (sent) => sent === "Bearer t",
    });
    await tagsOf(open(world.host, { credentials: given(identity) }));
    expect(world.asked.map(({ method }) => method)).toEqual(["POST", "GET"]);
    expect(world.asked[0]?.form.get("grant_type")).toBe("refresh_token");
  });

  test("a new refresh token replaces the identity token [R3.14]", async () => {
    let count = 0;
    const world = await startTokenWorld({
      answer: () => ({ access_token: `t${String(++count)}`, refresh_token: "identity-2" }),
      // Each token is good for one request.
      accepts: (sent) => sent === `Bearer t${String(count)}` && world.requests.length % 2 === 0,
    });
    const repository = open(world.host, { credentials: given(identity) });
    await tagsOf(repository);
    await tagsOf(repository).catch(() => undefined);
    expect(world.asked.map(({ form }) => form.get("refresh_token")).slice(0, 2)).toEqual([
      "identity-1",
      "identity-2",
    ]);
  });

  test.each([
    [1, 45, 55],
    [undefined, 45, 55],
    [3600, 3585, 3595],
  ])(
    "with expires_in %s are used for %i seconds, and renewed after %i [R3.15]",
    async (lifetime, good, late) => {
      const world = await startTokenWorld({
        answer: () => ({ token: "t", ...(lifetime === undefined ? {} : { expires_in: lifetime }) }),
        accepts: (sent) => sent === "Bearer t",
      });
      const repository = open(world.host);
      vi.useFakeTimers({ toFake: ["Date"] });
      onTestFinished(() => void vi.useRealTimers());
      const start = Date.now();
      for (const [seconds, asked] of [
        [0, 1],
        [good, 1],
        [late, 2],
      ] as const) {
        vi.setSystemTime(start + seconds * 1000);
        await tagsOf(repository);
        expect(world.asked).toHaveLength(asked);
      }
    },
  );

  test("are asked for once by requests at the same time [R3.17]", async () => {
    const world = await startTokenWorld({
      answer: () => ({ token: "t" }),
      accepts: (sent) => sent === "Bearer t",
    });
    const repository = open(world.host);
    await Promise.all(Array.from({ length: 8 }, () => tagsOf(repository)));
    expect(world.asked).toHaveLength(1);
  });

  test("that are refused are replaced once, then it is said [R3.20]", async () => {
    let count = 0;
    const world = await startTokenWorld({
      answer: () => ({ token: `t${String(++count)}` }),
      accepts: () => false,
    });
    const error = await failureOf(tagsOf(open(world.host)));
    expect(error.code).toBe("REGISTRY_UNAUTHORIZED");
    expect(world.requests.map((line) => line.split(" ").slice(2).join(" "))).toEqual([
      "-",
      "Bearer t1",
      "Bearer t2",
    ]);
  });

  test("more than an answer can be is refused; so is none [R3.14]", async () => {
    for (const answer of [{ token: "t", padding: "x".repeat(70_000) }, { other: 1 }]) {
      const world = await startTokenWorld({ answer: () => answer, accepts: () => true });
      const repository = open(world.host);
      const error = await failureOf(tagsOf(repository));
      expect(error.code).toBe("REGISTRY_ANSWER_INVALID");
    }
  });

  test("a registry token is sent as it is, and nothing is asked [R3.4]", async () => {
    const world = await startTokenWorld({
      answer: () => 500,
      accepts: (sent) => sent === "Bearer as-it-is",
    });
    const credentials = given({ type: "registry-token", token: "as-it-is" });
    expect(await tagsOf(open(world.host, { credentials }))).toEqual(["1"]);
    expect(world.asked).toHaveLength(0);
  });
});

test("a host that we were led to gets a token that anybody gets [R3.22, R3.21]", async () => {
  const world = await startTokenWorld({
    answer: () => ({ token: "nobody" }),
    accepts: (sent) => sent === "Bearer nobody",
  });
  const registry = await startLocalServer((request, response) => {
    if (request.url === "/v2/") return void response.end("{}");
    const sent = request.headers.authorization;
    if (sent === undefined) {
      return void response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();
    }
    response.writeHead(307, { location: `http://${world.host}/v2/app/tags/list` }).end();
  });
  const repository = open(new URL(registry.origin).host, { credentials: given(me) });
  expect(await tagsOf(repository)).toEqual(["1"]);
  expect(world.requests.map((line) => line.split(" ").slice(2).join(" "))).toEqual([
    "-",
    "Bearer nobody",
  ]);
  expect(world.asked[0]?.authorization).toBeUndefined();
});

test("a refusal without a body is asked for again by GET, for its words [R3.25]", async () => {
  const server = await startLocalServer((request, response) => {
    if (request.url === "/v2/") return void response.end("{}");
    const error = { code: "DENIED", message: "quota is used up", detail: { quota: 5 } };
    response.writeHead(403, { "content-type": "application/json" });
    response.end(request.method === "HEAD" ? undefined : JSON.stringify({ errors: [error] }));
  });
  const failed = open(new URL(server.origin).host).resolve("1");
  const error = await failureOf(failed);
  expect(error.message).toContain("quota is used up");
  expect(error.details["errors"]).toEqual([
    { code: "DENIED", message: "quota is used up", detail: '{"quota":5}' },
  ]);
});

describe("logging in", () => {
  test.each(["basic", "bearer"] as const)(
    "is tried before it is kept: %s [R3.26]",
    async (scheme) => {
      const login = { scheme, username: "me", password: "top-secret" } as const;
      const { host: domain } = await startFakeRegistry({ login });
      await checkCredentials({ domain, credentials: me, settings });
      const wrong = { ...me, password: "guessed" } as typeof me;
      const error = await failureOf(checkCredentials({ domain, credentials: wrong, settings }));
      expect(error.code).toBe("REGISTRY_UNAUTHORIZED");
      expect(error.message).not.toContain("guessed");
      expect(error.hint).toContain("user or password is wrong");
    },
  );
});

test("repositories are listed with the scope of the catalogue [R8.6, R3.18]", async () => {
  const world = await startTokenWorld({
    answer: () => ({ token: "t" }),
    accepts: (sent) => sent === "Bearer t",
  });
  const names = await listRepositories({ domain: world.host, credentials: given(), settings });
  expect(names).toEqual([]);
  expect(world.requests[0]).toContain("GET /v2/_catalog?n=1000");
  expect(world.asked[0]?.scopes).toEqual(["registry:catalog:*"]);
});

test("an upload under which the token expires begins anew [R3.20]", async () => {
  const login = { scheme: "bearer", tokenUses: 5 } as const;
  const registry = await startFakeRegistry({ login });
  const image = await makeRandomImage({ layers: 1, layerSize: 400_000 });
  await pushContent(open(registry.host, { access: "push" }), image, "1");
  expect(registry.repository("app").blobs.size).toBe(2);
  expect(registry.openUploads).toBe(0);
});

async function tagsOf(repository: ReturnType<typeof open>): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const tag of repository.listTags()) found.push(tag);
  return found;
}
