import { openLocalCache } from "../../src/cache/index.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { testCache } from "./cache-contract.ts";

testCache("local folder", async () => {
  const directory = await temporaryFolder();
  return openLocalCache({ directory, tmpDir: directory });
});
