import { link, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { expect, test } from "vitest";
import { claimPartial } from "../../../src/core/index.ts";
import { temporaryFolder } from "../../support/temporary-folder.ts";

for (const kind of ["file", "directory"] as const) {
  test(`what a dead process left of a ${kind} is taken over, empty`, async () => {
    const folder = await temporaryFolder();
    const destination = join(folder, "out");
    const left = join(folder, ".out.tsbuild-partial");
    if (kind === "file") await writeFile(left, "half");
    else await mkdir(join(left, "half/way"), { recursive: true });
    const partial = await claimPartial(destination, kind);
    expect(partial.path).toBe(left);
    if (kind === "file") expect(await readFile(left, "utf8")).toBe("");
    else expect(await readdir(left)).toEqual([]);
    await partial.commit();
    await partial.remove();
    expect(await readdir(folder)).toEqual(["out"]);
  });

  test(`two writers of one ${kind} do not meet, and nothing is left of one that gives up`, async () => {
    const folder = await temporaryFolder();
    const destination = join(folder, "out");
    const [one, two] = [
      await claimPartial(destination, kind),
      await claimPartial(destination, kind),
    ];
    expect([one, two].map(({ path }) => basename(path))).toEqual([
      ".out.tsbuild-partial",
      ".out.1.tsbuild-partial",
    ]);
    await one.remove();
    const third = await claimPartial(destination, kind);
    expect(third.path).toBe(one.path);
    await third.remove();
    await two.commit();
    expect(await readdir(folder)).toEqual(["out"]);
  });
}

test("a link that somebody laid there is not written through", async () => {
  const folder = await temporaryFolder();
  const precious = join(folder, "precious");
  await writeFile(precious, "precious");
  await symlink(precious, join(folder, ".out.tsbuild-partial"));
  await link(precious, join(folder, ".out.1.tsbuild-partial"));
  const partial = await claimPartial(join(folder, "out"), "file");
  expect(basename(partial.path)).toBe(".out.2.tsbuild-partial");
  await partial.commit();
  expect(await readFile(precious, "utf8")).toBe("precious");
});
