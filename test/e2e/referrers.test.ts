import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { makeFolder } from "../support/setup-context.ts";
import { hostArch, pushIndex } from "../support/setup-platforms.ts";
import { errorCode, runProgram, useWorkspace } from "../support/setup-workspace.ts";

const workspace = useWorkspace();
const { cli, expectCli } = workspace;

const spdx = "application/spdx+json";
const note = "application/vnd.example.note";

interface WireIndex {
  readonly manifests: readonly {
    readonly digest: string;
    readonly artifactType?: string;
    readonly annotations?: Readonly<Record<string, string>>;
  }[];
}

/** A document as the registry answers, without any client of ours. */
async function raw(repository: string, reference: string): Promise<string> {
  const types = ["image.index.v1+json", "image.manifest.v1+json"];
  const answer = await fetch(
    `http://${workspace.registry.host}/v2/${repository}/manifests/${reference}`,
    { headers: { accept: types.map((type) => `application/vnd.oci.${type}`).join(", ") } },
  );
  if (!answer.ok) throw new Error(`${reference}: ${String(answer.status)}`);
  return answer.text();
}

function digestOf(text: string): string {
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}

async function attach(image: string, ...args: string[]): Promise<string> {
  return (await expectCli(["image", "attach", "-q", image, ...args])).stdout.trim();
}

async function referrers(image: string, ...flags: string[]): Promise<readonly string[]> {
  const { stdout } = await expectCli(["image", "referrers", "--format", "json", image, ...flags]);
  return (JSON.parse(stdout) as WireIndex).manifests.map(({ digest }) => digest);
}

async function someFile(text: string): Promise<string> {
  const file = join(await makeFolder(), "parts.json");
  await writeFile(file, text);
  return file;
}

async function copy(source: string, target: string, ...flags: string[]): Promise<string> {
  return (await expectCli(["image", "cp", "-q", ...flags, source, target])).stdout.trim();
}

describe("image attach", () => {
  test("stores an artifact that names its subject, where every client looks for it [R8.1, R17.12]", async () => {
    const name = await pushIndex(workspace, "attached/one");
    const subject = digestOf(await raw("attached/one", "1"));
    const file = await someFile('{"parts":1}');
    const digest = await attach(
      ...([name, `${file}:${spdx}`, "--artifact-type", spdx] as const),
      ...["--annotation", "who=me"],
    );
    const bytes = await raw("attached/one", digest);
    expect(digestOf(bytes)).toBe(digest);
    expect(JSON.parse(bytes)).toMatchObject({
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      artifactType: spdx,
      config: { mediaType: "application/vnd.oci.empty.v1+json", size: 2 },
      layers: [
        {
          ...{ mediaType: spdx, digest: digestOf('{"parts":1}'), size: 11 },
          annotations: { "org.opencontainers.image.title": "parts.json" },
        },
      ],
      subject: { digest: subject },
      annotations: { who: "me" },
    });
    // This registry has no API for referrers: the tag stands in for it.
    const list = JSON.parse(await raw("attached/one", subject.replace(":", "-"))) as WireIndex;
    expect(list.manifests).toMatchObject([
      { digest, artifactType: spdx, annotations: { who: "me" } },
    ]);
    expect(await referrers(`docker://${name}`)).toEqual([digest]);
  });

  test("the same files are the same artifact; types and platforms are told apart [R17.12, R17.13]", async () => {
    const name = await pushIndex(workspace, "attached/again");
    const file = await someFile("{}");
    const first = await attach(name, file, "--artifact-type", spdx);
    expect(await attach(name, file, "--artifact-type", spdx)).toBe(first);
    const said = await attach(name, "--artifact-type", note, "--annotation", "checked=yes");
    const platform = ["--platform", `linux/${hostArch}`];
    const piped = await expectCli(
      ["image", "attach", "-q", name, "-", "--artifact-type", note, ...platform],
      { input: "from a pipe\n" },
    );
    expect(await referrers(name)).toEqual([first, said]);
    expect(await referrers(name, "--artifact-type", note)).toEqual([said]);
    expect(await referrers(name, ...platform)).toEqual([piped.stdout.trim()]);
    const { layers } = JSON.parse(await raw("attached/again", piped.stdout.trim())) as {
      layers: { digest: string; annotations?: object }[];
    };
    expect(layers).toMatchObject([{ digest: digestOf("from a pipe\n") }]);
    expect(layers[0]?.annotations).toBeUndefined();
    const table = await expectCli(["image", "referrers", name]);
    expect(table.stdout).toBe(
      `DIGEST${" ".repeat(68)}ARTIFACT TYPE\n${first}   ${spdx}\n${said}   ${note}\n`,
    );
  });

  test("bad input is told before anything is stored [R17.12]", async () => {
    const name = `${workspace.registry.host}/attached/bad:1`;
    await copy(`docker://${workspace.busybox}`, `docker://${name}`);
    const file = await someFile("{}");
    const tries: readonly (readonly [code: number, error: string, ...args: string[]])[] = [
      [2, "USAGE", name, "--artifact-type", spdx],
      [2, "USAGE", name, file, "--artifact-type", "words"],
      [2, "USAGE", `dir:${await makeFolder()}`, file, "--artifact-type", spdx],
      [2, "USAGE", name, "-", "-", "--artifact-type", spdx],
      [1, "ARTIFACT_UNREADABLE", name, `${file}.not`, "--artifact-type", spdx],
      [1, "ARTIFACT_UNREADABLE", name, await makeFolder(), "--artifact-type", spdx],
      [1, "IMAGE_NOT_FOUND", name.replace(/:1$/, ":2"), file, "--artifact-type", spdx],
    ];
    for (const [code, error, ...args] of tries) {
      const result = await cli(["image", "attach", ...args]);
      expect([result.code, errorCode(result)], args.join(" ")).toEqual([code, error]);
      expect(result.stderr).toContain("hint: ");
    }
    expect((await cli(["image", "attach", name, file])).code).toBe(2);
    expect(await referrers(name)).toEqual([]);
  });
});

describe("image cp --referrers", () => {
  /** An index with an artifact, one of that artifact, one of an image of it, and what cosign would put beside it. */
  async function signed(repository: string) {
    const name = await pushIndex(workspace, repository);
    const root = digestOf(await raw(repository, "1"));
    const sbom = await attach(name, await someFile("{}"), "--artifact-type", spdx);
    const place = name.replace(/:1$/, "");
    const ofSbom = await attach(
      ...([`${place}@${sbom}`, "--artifact-type", note] as const),
      ...["--annotation", "of=sbom"],
    );
    const ofImage = await attach(
      ...([name, "--artifact-type", note, "--annotation", "of=image"] as const),
      ...["--platform", `linux/${hostArch}`],
    );
    const tag = `${root.replace(":", "-")}.sig`;
    await copy(`docker://${workspace.busybox}`, `docker://${place}:${tag}`);
    return { name, root, sbom, ofSbom, ofImage, tag };
  }

  test("takes signatures and attestations along, through a layout and an archive too [R15.3, R15.4]", async () => {
    const made = await signed("referred/from");
    const folder = await makeFolder();
    const places = [
      `docker://${made.name}`,
      `oci:${join(folder, "layout")}:one`,
      `oci-archive:${join(folder, "layout.tar")}:one`,
      `docker://${workspace.registry.host}/referred/to:1`,
    ];
    for (const [at, source] of places.slice(0, -1).entries()) {
      expect(await copy(source, places[at + 1] ?? "", "--referrers")).toBe(made.root);
    }
    const to = `${workspace.registry.host}/referred/to`;
    expect(await referrers(`${to}:1`)).toEqual([made.sbom]);
    expect(await referrers(`${to}@${made.sbom}`)).toEqual([made.ofSbom]);
    expect(await referrers(`${to}:1`, "--platform", `linux/${hostArch}`)).toEqual([made.ofImage]);
    expect(await raw("referred/to", made.tag)).toBe(await raw("busybox", "1"));
    const table = await expectCli(["image", "referrers", `${to}:1`]);
    expect(table.stdout).toMatch(new RegExp(`^sha256:\\w+ +${made.tag}$`, "m"));
    expect(await referrers(places[1] ?? "")).toEqual([made.sbom]);
    expect(await referrers(`oci:${join(folder, "layout")}:@${made.sbom}`)).toEqual([made.ofSbom]);
    // What refers to images is no image: a layout with one image has one.
    const root = await workspace.freshRoot();
    for (const input of ["layout", "layout.tar"]) {
      const loaded = await expectCli(["load", "-i", join(folder, input)], { root });
      expect(loaded.stdout).toBe(`Loaded image ID: ${made.root}\n`);
    }
    const unasked = `${workspace.registry.host}/referred/unasked`;
    await copy(`docker://${made.name}`, `docker://${unasked}:1`);
    expect((await expectCli(["tags", unasked])).stdout).toBe("1\n");
  });

  test("a layout of its own keeps what is attached there [R15.4]", async () => {
    const layout = `oci:${join(await makeFolder(), "layout")}:busy`;
    await copy(`docker://${workspace.busybox}`, layout);
    const digest = await attach(layout, await someFile("{}"), "--artifact-type", spdx);
    expect(await referrers(layout)).toEqual([digest]);
    const name = `${workspace.registry.host}/referred/from-layout:1`;
    await copy(layout, `docker://${name}`, "--referrers");
    expect(await referrers(name)).toEqual([digest]);
    const skopeo = ["inspect", "--raw", layout];
    expect(await runProgram("skopeo", skopeo)).toBe(await raw("busybox", "1"));
  });

  test("what is there and in no list is listed when it is copied again [R15.3]", async () => {
    const made = await signed("referred/listed");
    const to = `docker://${workspace.registry.host}/referred/unlisted`;
    await copy(`docker://${made.name}`, `${to}:1`, "--referrers");
    await expectCli(["image", "rm", `${to}:${made.root.replace(":", "-")}`]);
    expect(await referrers(`${to}:1`)).toEqual([]);
    await copy(`docker://${made.name}`, `${to}:1`, "--referrers");
    expect(await referrers(`${to}:1`)).toEqual([made.sbom]);
  });

  test("is refused where it would be lost [R15.3]", async () => {
    const name = `docker://${workspace.busybox}`;
    const there = `docker://${workspace.registry.host}/referred/refused:1`;
    const tries = [
      [name, "here:1"],
      [name, `dir:${await makeFolder()}`],
      ["here:1", there],
      [name, there, "--format", "docker"],
    ];
    for (const args of tries) {
      const result = await cli(["image", "cp", "--referrers", ...args]);
      expect([result.code, errorCode(result)], args.join(" ")).toEqual([2, "USAGE"]);
    }
    expect((await cli(["image", "referrers", there])).code).toBe(1);
  });
});
