import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { freePort } from "./registry-process.ts";

/** A server that speaks S3, with an empty bucket `cache`. */
export interface ObjectStorage {
  /** `s3rver`, `versitygw` or `moto_server`. */
  readonly kind: string;
  /** `127.0.0.1:PORT` */
  readonly host: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Looks at signatures. */
  readonly checksSignatures: boolean;
  /** Writes under a condition only when it holds. */
  readonly knowsConditions: boolean;
  /** Ends it and removes what it keeps. */
  stop(): Promise<void>;
}

/** TSBUILD_TEST_S3 names another server's program: `versitygw`, or `moto_server` of moto[server]. */
const program = process.env["TSBUILD_TEST_S3"] ?? "";

/** Starts a server on a free port of 127.0.0.1: s3rver, a package, unless TSBUILD_TEST_S3 names another one. */
export async function startObjectStorage(): Promise<ObjectStorage> {
  const folder = await mkdtemp(join(tmpdir(), "tsbuild-s3-"));
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    const server = program === "" ? await startPackage(folder) : await startProgram(folder);
    return { ...server, stop: () => server.stop().then(remove) };
  } catch (error) {
    await remove();
    throw error;
  }
}

interface S3rver {
  run(): Promise<{ readonly port: number }>;
  close(): Promise<void>;
}

async function startPackage(folder: string): Promise<ObjectStorage> {
  // It brings no types: what is used of it stands above.
  const name: string = "s3rver";
  const { default: Server } = (await import(name)) as {
    readonly default: new (options: object) => S3rver;
  };
  const server = new Server({
    ...{ address: "127.0.0.1", port: 0, silent: true, directory: folder },
    configureBuckets: [{ name: "cache", configs: [] }],
  });
  const { port } = await server.run();
  return {
    kind: "s3rver",
    host: `127.0.0.1:${String(port)}`,
    ...{ accessKeyId: "S3RVER", secretAccessKey: "S3RVER" },
    ...{ checksSignatures: false, knowsConditions: false },
    stop: () => server.close(),
  };
}

async function startProgram(folder: string): Promise<ObjectStorage> {
  const kind = basename(program);
  const host = `127.0.0.1:${String(await freePort())}`;
  const port = host.slice("127.0.0.1:".length);
  const isMoto = kind === "moto_server";
  const keys = { accessKeyId: "tester", secretAccessKey: "a-secret-of-the-tests" };
  await mkdir(join(folder, "cache"));
  const args = isMoto
    ? ["-H", "127.0.0.1", "-p", port]
    : [
        "--access",
        keys.accessKeyId,
        "--secret",
        keys.secretAccessKey,
        "--port",
        host,
        "posix",
        folder,
      ];
  const child = spawn(program, args, { stdio: "ignore" });
  const ended = once(child, "exit");
  for (const deadline = Date.now() + 120_000; ; await wait(50)) {
    const answers = await fetch(`http://${host}/`).then(
      () => true,
      () => false,
    );
    if (answers) break;
    if (Date.now() > deadline || child.exitCode !== null)
      throw new Error(`${program} does not answer`);
  }
  if (isMoto) await fetch(`http://${host}/cache`, { method: "PUT" });
  return {
    ...{ kind, host, ...keys, checksSignatures: !isMoto, knowsConditions: true },
    stop: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** The fields of a place in the server's bucket. */
export function bucketFieldsOf(
  server: Pick<ObjectStorage, "host" | "accessKeyId" | "secretAccessKey">,
  more: Readonly<Record<string, string>> = {},
): Map<string, string> {
  return new Map(
    Object.entries({
      bucket: "cache",
      endpoint_url: `http://${server.host}`,
      access_key_id: server.accessKeyId,
      secret_access_key: server.secretAccessKey,
      ...more,
    }),
  );
}
