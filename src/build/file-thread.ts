import { type DigestJob, runDigestJob } from "../context/index.ts";
import { serveJobs, unreachable } from "../core/index.ts";
import {
  type DeflateJob,
  type FillJob,
  type HashJob,
  runDeflateJob,
  runFillJob,
  runHashJob,
} from "../layer/index.ts";
import {
  type PutJob,
  runPutJob,
  runSumJob,
  runWriteJob,
  type SumJob,
  type WriteJob,
} from "../snapshot/index.ts";

/** A script of its own: the second thread where there are many files to read or to make, or much to compress (`openFileThread`). */
serveJobs((job) => {
  const known = job as DeflateJob | DigestJob | FillJob | HashJob | PutJob | SumJob | WriteJob;
  switch (known.kind) {
    case "deflate":
      return runDeflateJob(known);
    case "digest":
      return runDigestJob(known);
    case "fill":
      return runFillJob(known);
    case "hash":
      return runHashJob(known);
    case "put":
      return runPutJob(known);
    case "sum":
      return runSumJob(known);
    case "write":
      return runWriteJob(known);
    default:
      return unreachable(known);
  }
});
