import { usageError } from "../errors.ts";

/** What `tsbuild build` is asked to do with a Dockerfile instead of building it. */
export type CallMethod = "build" | "check" | "outline" | "targets" | "subrequests.describe";

export interface Call {
  readonly method: CallMethod;
  readonly format: "text" | "json";
  /** Findings do not change the exit code. */
  readonly ignoreStatus: boolean;
}

const methods: Readonly<Record<string, CallMethod>> = {
  build: "build",
  check: "check",
  lint: "check",
  outline: "outline",
  targets: "targets",
  "subrequests.describe": "subrequests.describe",
};

/**
 * `METHOD[,format=json][,ignorestatus[=true]]`, the value of `--call`.
 * @throws USAGE
 */
export function parseCall(text: string): Call {
  const [name = "", ...fields] = text.split(",");
  const method = Object.hasOwn(methods, name) ? methods[name] : undefined;
  if (method === undefined) {
    const known = Object.keys(methods).filter((each) => each !== "lint");
    throw usageError(`call ${JSON.stringify(name)}: no such method`, `choose ${known.join(", ")}`);
  }
  return fields.reduce(withField, { method, format: "text", ignoreStatus: false });
}

function withField(call: Call, field: string): Call {
  const [key, value = "true"] = field.split("=", 2);
  if (key === "ignorestatus" && /^(?:true|1|false|0)$/.test(value)) {
    return { ...call, ignoreStatus: value === "true" || value === "1" };
  }
  if (key === "format" && (value === "json" || value === "text")) return { ...call, format: value };
  throw usageError(
    `read --call: ${JSON.stringify(field)} is no field of it`,
    "write format=json or ignorestatus behind the method, separated by commas",
  );
}
