/** One thing that `--call` can ask for, as BuildKit's `frontend.subrequests.describe` lists it. */
export interface CallDescription {
  readonly name: string;
  readonly version: string;
  readonly type: "rpc";
  readonly description: string;
  readonly opts: readonly { readonly name: string; readonly description: string }[];
  readonly metadata: readonly { readonly name: string }[];
}

const results = [{ name: "result.json" }, { name: "result.txt" }];

/** Everything that `--call` knows beside `build`. */
export function describeCalls(): readonly CallDescription[] {
  const target = { name: "target", description: "the stage to describe; the last one by default" };
  return [
    toDescription("outline", {
      description: "what can be given to the build of a target",
      opts: [target],
    }),
    toDescription("targets", { description: "the stages that can be built" }),
    toDescription("lint", { description: "what checks find in the Dockerfile" }),
    toDescription("subrequests.describe", { description: "this list" }),
  ];
}

function toDescription(
  name: string,
  { description, opts = [] }: Pick<CallDescription, "description"> & Partial<CallDescription>,
): CallDescription {
  const metadata = name === "lint" ? [...results, { name: "result.statuscode" }] : results;
  return { name: `frontend.${name}`, version: "1.0.0", type: "rpc", description, opts, metadata };
}
