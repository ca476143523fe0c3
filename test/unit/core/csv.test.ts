import { expect, test } from "vitest";
import { splitCsv } from "../../../src/core/index.ts";

test("quoted fields hold commas and quotes", () => {
  expect(splitCsv('a,"b,c","say ""hi""",')).toEqual(["a", "b,c", 'say "hi"', ""]);
  expect(splitCsv("")).toEqual([""]);
  expect(splitCsv('"open')).toEqual(['"open']);
});
