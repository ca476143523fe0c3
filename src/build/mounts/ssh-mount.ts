import { join } from "node:path";
import type { ExecMount } from "../../plan/index.ts";
import { buildError } from "../errors.ts";
import { serveAgent } from "./agent-proxy.ts";
import type { MountPlace, OpenedMount } from "./step-mounts.ts";

/**
 * A socket behind which the caller's agent answers. One that is missing and not required is no mount.
 * @throws BUILD_SSH_NOT_FOUND
 */
export async function openSshMount(
  mount: Extract<ExecMount, { type: "ssh" }>,
  { request, scratch }: MountPlace,
): Promise<OpenedMount> {
  const { id, target, mode, uid, gid } = mount;
  const agent = await request.environment.findAgent?.(id);
  if (agent === undefined) {
    if (mount.required) throw notFound(id);
    return {};
  }
  const name = `agent${target.replaceAll(/\W/g, "-")}`.slice(0, 100);
  const proxy = await serveAgent({ directory: scratch, name, connect: agent, mode, uid, gid });
  return {
    mount: {
      type: "bind",
      source: join(scratch, name),
      target,
      readOnly: false,
      noExec: true,
    },
    close: async () => proxy.close(),
  };
}

function notFound(id: string): Error {
  return buildError("BUILD_SSH_NOT_FOUND", `unset ssh forward key ${id}`, {
    hint:
      id === "default" ? "give --ssh default" : `give --ssh ${id}=SOCKET or --ssh ${id}=KEYFILE`,
    details: { id },
  });
}
