import { isIP } from "node:net";
import {
  exposeInvalidFormat,
  exposeProtoCasing,
  processWord,
  type ExposeInstruction,
} from "../../dockerfile/index.ts";
import { planError } from "../errors.ts";
import { formatList } from "../text-formats.ts";
import { addHistory, type RuleScope } from "./rule.ts";

/**
 * `port[-end][/protocol]`; a variable may expand to several. Only the container's part of `ip:host:container` stays.
 * @throws PLAN_PORT_INVALID
 */
export function applyExpose(instruction: ExposeInstruction, scope: RuleScope): void {
  const { lookup, escape, state } = scope;
  // Not lookupUsed: the reference's checks pass over what is not set here, and a check may fail a build.
  const specs = instruction.ports.flatMap((port) => processWord(port, { lookup, escape }).words);
  for (const spec of specs) lintSpec(spec, scope);
  const ports = specs.flatMap((spec) => expandSpec(spec, instruction));
  for (const port of ports) state.image.exposedPorts.add(port);
  addHistory(state, `EXPOSE ${formatList(ports)}`);
}

function lintSpec(spec: string, { lint }: RuleScope): void {
  const { address, hostPorts, containerPart } = splitSpec(spec);
  const [, protocol = ""] = splitOnce(containerPart, "/");
  if (protocol !== protocol.toLowerCase()) {
    lint(exposeProtoCasing, { message: exposeProtoCasing.message(spec), word: spec });
  }
  if (address !== "" || hostPorts !== "") {
    lint(exposeInvalidFormat, { message: exposeInvalidFormat.message(spec), word: spec });
  }
}

function expandSpec(spec: string, instruction: ExposeInstruction): readonly string[] {
  const fail = (reason: string): Error => invalidPort(reason, { spec, instruction });
  const { address, hostPorts, containerPart } = splitSpec(spec);
  const [containerPorts = "", written = ""] = splitOnce(containerPart, "/");
  if (containerPorts === "") throw fail("no port specified");
  const protocol = (written === "" ? "tcp" : written).toLowerCase();
  if (!["tcp", "udp", "sctp"].includes(protocol)) throw fail(`invalid proto: ${written}`);
  if (!isAddress(address)) throw fail(`invalid IP address: ${address}`);
  const range = parseRange(containerPorts);
  if (range === undefined) throw fail(`invalid containerPort: ${containerPorts}`);
  if (hostPorts !== "") {
    const hostRange = parseRange(hostPorts);
    if (hostRange === undefined) throw fail(`invalid hostPort: ${hostPorts}`);
    if (!fits(hostRange, range)) {
      throw fail(
        `invalid ranges specified for container and host Ports: ${containerPorts} and ${hostPorts}`,
      );
    }
  }
  return Array.from(
    { length: range.end - range.start + 1 },
    (_, index) => `${String(range.start + index)}/${protocol}`,
  );
}

/** Empty, or an IP address without zone; IPv6 may stand between brackets. */
function isAddress(text: string): boolean {
  return text === "" || (isIP(text.replace(/^\[(.*)\]$/, "$1")) !== 0 && !text.includes("%"));
}

function splitSpec(spec: string): {
  readonly address: string;
  readonly hostPorts: string;
  readonly containerPart: string;
} {
  const parts = spec.split(":");
  const containerPart = parts.pop() ?? "";
  const hostPorts = parts.pop() ?? "";
  return { address: parts.join(":"), hostPorts, containerPart };
}

function splitOnce(text: string, separator: string): readonly string[] {
  const index = text.indexOf(separator);
  return index < 0 ? [text] : [text.slice(0, index), text.slice(index + separator.length)];
}

interface PortRange {
  readonly start: number;
  readonly end: number;
}

function parseRange(text: string): PortRange | undefined {
  const [first = "", last = first] = splitOnce(text, "-");
  const start = parsePort(first);
  const end = parsePort(last);
  return start === undefined || end === undefined || end < start ? undefined : { start, end };
}

function parsePort(text: string): number | undefined {
  return /^\+?\d+$/.test(text) && Number(text) <= 65_535 ? Number(text) : undefined;
}

/** A range of host ports must be as long as the container's, unless that is a single port. */
function fits(host: PortRange, container: PortRange): boolean {
  return (
    container.start === container.end || host.end - host.start === container.end - container.start
  );
}

function invalidPort(
  reason: string,
  place: { readonly spec: string; readonly instruction: ExposeInstruction },
): Error {
  const { spec, instruction } = place;
  return planError("PLAN_PORT_INVALID", `invalid port: ${JSON.stringify(spec)}: ${reason}`, {
    hint: "write 8080, 8080/udp or 8000-8010/tcp, with ports from 0 to 65535",
    location: instruction.location,
    details: { word: spec },
  });
}
