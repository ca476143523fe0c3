import { isIP } from "node:net";
import { posix } from "node:path";
import type { Entitlement, PlanOptions, RunSettings } from "../../../plan/index.ts";
import { resourceNames } from "../../../sandbox/index.ts";
import { usageError } from "../../errors.ts";
import type { RunOptions } from "./options.ts";
import { readSize } from "./sizes.ts";

/**
 * What planning needs to know of the flags.
 * @throws USAGE
 */
export function readRunSettings(
  options: RunOptions,
): Pick<PlanOptions, "runSettings" | "entitlements"> {
  const { addHosts = [], ulimits = [], shmSize, cgroupParent } = options;
  const runSettings: Omit<RunSettings, "hostname"> = {
    ...(addHosts.length === 0 ? {} : { extraHosts: addHosts.flatMap(readHost) }),
    ...(ulimits.length === 0 ? {} : { ulimits: ulimits.map(readUlimit) }),
    ...(shmSize === undefined ? {} : { shmSize: readSize(shmSize, "--shm-size") }),
    ...(cgroupParent === undefined ? {} : { cgroupParent: readParent(cgroupParent) }),
  };
  const entitlements = new Set((options.allow ?? []).flatMap(readEntitlements));
  return { entitlements, ...(Object.keys(runSettings).length === 0 ? {} : { runSettings }) };
}

const entitlements: readonly Entitlement[] = ["network.host", "security.insecure"];

/** Those that docker/buildx knows and that nothing here asks for are accepted too. */
function readEntitlements(text: string): readonly Entitlement[] {
  return text.split(",").flatMap((name) => {
    const known = entitlements.find((entitlement) => entitlement === name.trim());
    if (known !== undefined) return [known];
    if (/^(?:device(?:=.*)?|buildx\.local\.delete)$/.test(name.trim())) return [];
    throw usageError(
      `invalid entitlement: ${name}`,
      `the entitlements are ${entitlements.join(" and ")}`,
    );
  });
}

/** With the host's network the host's own services are here. */
const gatewayAddress = "127.0.0.1";

function readHost(text: string): readonly { readonly name: string; readonly address: string }[] {
  const separator = text.includes("=") ? "=" : ":";
  const at = text.indexOf(separator);
  const [name, addresses] = [text.slice(0, Math.max(at, 0)), text.slice(at + 1)];
  if (at <= 0 || addresses === "" || /\s/.test(name)) {
    throw usageError(`bad format for --add-host: ${text}`, "write it as name:address");
  }
  return addresses.split(",").map((written) => {
    const bare = /^\[(.*)\]$/.exec(written)?.[1] ?? written;
    const address = bare === "host-gateway" ? gatewayAddress : bare;
    if (isIP(address) !== 0) return { name, address };
    throw usageError(
      `invalid IP address in --add-host: ${written}`,
      "give an IPv4 or IPv6 address, or host-gateway",
    );
  });
}

function readUlimit(text: string): NonNullable<RunSettings["ulimits"]>[number] {
  const match = /^([a-z]+)=(-1|\d+)(?::(-1|\d+))?$/.exec(text);
  const [, name = "", softText = "", hardText = softText] = match ?? [];
  const [soft, hard] = [Number(softText), Number(hardText)];
  if (match === null || !Number.isSafeInteger(soft) || !Number.isSafeInteger(hard)) {
    throw usageError(`invalid ulimit: ${text}`, "write it as name=soft or name=soft:hard");
  }
  if (!resourceNames.includes(name)) {
    throw usageError(
      `invalid ulimit type: ${name}`,
      `the types are ${[...resourceNames].sort().join(", ")}`,
    );
  }
  if (hard !== -1 && (soft === -1 || soft > hard)) {
    throw usageError(
      `ulimit soft limit must be less than or equal to hard limit: ${text}`,
      "raise the hard limit, or lower the soft one",
    );
  }
  return { name, soft, hard };
}

function readParent(text: string): string {
  const path = posix.resolve("/", text);
  if (text !== "" && !text.split("/").includes("..")) return path;
  throw usageError(
    `invalid --cgroup-parent: ${JSON.stringify(text)}`,
    "give a path below the root of the control groups, such as /builds",
  );
}
