import type { ExecMount } from "../../plan/index.ts";
import { buildError } from "../errors.ts";
import type { MountPlace, OpenedMount } from "./step-mounts.ts";

/**
 * A file, a variable or both; one that is missing and not required is no file, and an empty variable.
 * @throws BUILD_SECRET_NOT_FOUND
 */
export async function openSecret(
  mount: Extract<ExecMount, { type: "secret" }>,
  { request }: MountPlace,
): Promise<OpenedMount> {
  const { id, env, target, mode, uid, gid } = mount;
  const secret = await request.environment.readSecret?.(id);
  if (secret === undefined) {
    if (mount.required) throw notFound(id);
    return { variable: env === undefined ? undefined : `${env}=` };
  }
  return {
    secret,
    mount:
      target === undefined
        ? undefined
        : { type: "secret", content: secret, target, mode, uid, gid },
    variable: env === undefined ? undefined : `${env}=${Buffer.from(secret).toString("utf8")}`,
  };
}

function notFound(id: string): Error {
  return buildError("BUILD_SECRET_NOT_FOUND", `secret ${id}: not found`, {
    hint: `give it with --secret id=${id},src=FILE or --secret id=${id},env=NAME`,
    details: { id },
  });
}
