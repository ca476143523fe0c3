import { serveJobs } from "../../src/core/index.ts";

// A second thread that takes jobs and ends at the third.
let count = 0;
serveJobs(() => {
  count += 1;
  if (count === 3) process.exit(1);
});
