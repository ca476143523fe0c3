import { type DigestJob, runDigestJob } from "../context/index.ts";
import { serveJobs, unreachable } from "../core/index.ts";
import { runWriteJob, type WriteJob } from "../snapshot/index.ts";

/** A script of its own: the second thread of a build that has many files to read or to make (`openFileThread`). */
serveJobs((job) => {
  const known = job as DigestJob | WriteJob;
  switch (known.kind) {
    case "digest":
      return runDigestJob(known);
    case "write":
      return runWriteJob(known);
    default:
      return unreachable(known);
  }
});
