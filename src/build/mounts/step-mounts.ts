import type { ExecMount, ExecOp } from "../../plan/index.ts";
import type { SandboxMount } from "../../sandbox/index.ts";
import type { OpRequest } from "../ops/request.ts";
import { openBindMount } from "./bind-mount.ts";
import { openCacheMounts } from "./cache-mounts.ts";
import { openSecret } from "./secret-mount.ts";
import { openSshMount } from "./ssh-mount.ts";

/** What `RUN --mount` gives to one step. */
export interface StepMounts {
  readonly mounts: readonly SandboxMount[];
  /** `NAME=value` of secrets that are variables. */
  readonly secretEnv: readonly string[];
  /** Contents of all secrets of the step, to be kept out of what is told about it. */
  readonly secrets: readonly Uint8Array[];
  /** Descriptors of locks that the step is to keep open as long as it runs. */
  readonly locks: readonly number[];
  /** Lets go of everything. Call it when the sandbox is gone, whatever became of the step. */
  close(): Promise<void>;
}

/** What one mount comes to. */
export interface OpenedMount {
  readonly mount?: SandboxMount | undefined;
  readonly variable?: string | undefined;
  readonly secret?: Uint8Array | undefined;
  readonly lock?: number;
  readonly close?: (() => Promise<void>) | undefined;
}

/** What opening a mount takes. */
export interface MountPlace {
  readonly request: OpRequest;
  /** A folder of the step's own. */
  readonly scratch: string;
}

/**
 * Makes the sources of a step's mounts.
 * @throws BUILD_SECRET_NOT_FOUND, BUILD_SSH_NOT_FOUND, BUILD_MOUNT_INVALID; nothing is held then
 */
export async function openStepMounts(op: ExecOp, place: MountPlace): Promise<StepMounts> {
  const opened: OpenedMount[] = [];
  const close = async (): Promise<void> => {
    for (const { close: closeOne } of opened.splice(0).reverse()) await closeOne?.();
  };
  try {
    for (const mount of op.mounts) {
      if (mount.type !== "cache") opened.push(await openMount(mount, place));
    }
    // Last, because one may have to be waited for.
    for await (const cache of openCacheMounts(op.mounts, place)) opened.push(cache);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    mounts: opened.flatMap(({ mount }) => mount ?? []),
    secretEnv: opened.flatMap(({ variable }) => variable ?? []),
    secrets: opened.flatMap(({ secret }) => secret ?? []),
    locks: opened.flatMap(({ lock }) => lock ?? []),
    close,
  };
}

async function openMount(
  mount: Exclude<ExecMount, { type: "cache" }>,
  place: MountPlace,
): Promise<OpenedMount> {
  switch (mount.type) {
    case "bind":
      return openBindMount(mount, place);
    case "tmpfs":
      return { mount };
    case "secret":
      return openSecret(mount, place);
    case "ssh":
      return openSshMount(mount, place);
  }
}
