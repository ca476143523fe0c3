import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

export interface RegistryProcess {
  /** `127.0.0.1:PORT`, the first part of every name in this registry. */
  readonly host: string;
  /** Folder below which the registry keeps its blobs (`docker/registry/v2/blobs/…`). */
  readonly storage: string;
  /** Ends the process and removes its storage. */
  stop(): Promise<void>;
}

export interface RegistryProcessOptions {
  /** Lines of an htpasswd file, passwords by bcrypt: then nobody else gets in. */
  readonly htpasswd?: string | undefined;
  /** PEM files: then it speaks TLS. */
  readonly tls?: { readonly certificate: string; readonly key: string } | undefined;
  /** Wants client certificates of this authority; a PEM file. */
  readonly clientAuthority?: string | undefined;
}

/** A file of users for `htpasswd`: `me` with the password `top-secret`, by bcrypt. */
export const htpasswdOfMe = "me:$2b$04$vfo3s6JrHuD3urOsuhvk8ubWgPwlhqUbcdqPtGujmKAdKWSgs3ppm\n";

/** TSBUILD_TEST_REGISTRY names another one of the distribution project's servers, such as version 3. */
const program = process.env["TSBUILD_TEST_REGISTRY"] || "docker-registry";

/**
 * Starts Debian's docker-registry (the distribution project's own server) on a free port of 127.0.0.1, with an empty
 * store of its own. Whoever starts it stops it.
 */
export async function startRegistryProcess(
  options: RegistryProcessOptions = {},
): Promise<RegistryProcess> {
  const folder = await mkdtemp(join(tmpdir(), "tsbuild-registry-"));
  const storage = join(folder, "storage");
  await mkdir(storage);
  const port = await freePort();
  const host = `127.0.0.1:${String(port)}`;
  const config = join(folder, "config.yml");
  const users = join(folder, "htpasswd");
  if (options.htpasswd !== undefined) await writeFile(users, options.htpasswd);
  await writeFile(config, configOf({ ...options, host, storage, users }));
  const child = spawn(program, ["serve", config], { stdio: ["ignore", "pipe", "pipe"] });
  const output: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => output.push(chunk));
  const failure = new Promise<never>((_, reject) => {
    child.once("error", (error) => {
      reject(
        new Error(`docker-registry does not start (package docker-registry): ${error.message}`),
      );
    });
    child.once("exit", (code) => {
      const told = Buffer.concat(output).toString("utf8");
      reject(new Error(`docker-registry ended with ${String(code)}:\n${told}`));
    });
  });
  failure.catch(() => undefined); // It also ends when it is told to.
  const answers = options.tls === undefined ? answering(host) : listening(port);
  await Promise.race([answers, failure]);
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    }
    await rm(folder, { recursive: true, force: true });
  };
  return { host, storage, stop };
}

/** Ports that the kernel gives to nobody who does not ask for them. */
const ports = { first: 20_000, count: 12_000 };
/** Every process of the tests begins elsewhere. */
let nextPort = process.pid * 16;

/** A TCP port of 127.0.0.1 that nobody listens on, and that nobody is given until a program takes it. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = ports.first + (nextPort++ % ports.count);
    const server = createServer().listen(port, "127.0.0.1");
    const isFree = await once(server, "listening").then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    server.close();
    await once(server, "close");
    return port;
  }
}

/** So long, in milliseconds, may a server take until it answers. */
const patience = 120_000;

async function answering(host: string): Promise<void> {
  for (const deadline = Date.now() + patience; ; await wait(20)) {
    const answered = await fetch(`http://${host}/v2/`).then(
      ({ status }) => status === 200 || status === 401,
      () => false,
    );
    if (answered) return;
    if (Date.now() > deadline) throw new Error(`docker-registry does not answer at ${host}`);
  }
}

/** Waits until somebody takes connections; who it is, tests with certificates find out themselves. */
async function listening(port: number): Promise<void> {
  for (const deadline = Date.now() + patience; ; await wait(20)) {
    const socket = connect(port, "127.0.0.1");
    const isOpen = await once(socket, "connect").then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (isOpen) return;
    if (Date.now() > deadline) throw new Error(`nobody listens at port ${String(port)}`);
  }
}

function configOf(options: RegistryProcessOptions & Record<"host" | "storage" | "users", string>) {
  const { host, storage, users, htpasswd, tls, clientAuthority } = options;
  const clients = clientAuthority === undefined ? "" : `, clientcas: [${clientAuthority}]`;
  const secure =
    tls === undefined
      ? ""
      : `, tls: { certificate: ${tls.certificate}, key: ${tls.key}${clients} }`;
  return [
    "version: 0.1",
    "log: { level: error, accesslog: { disabled: true } }",
    `storage: { filesystem: { rootdirectory: ${storage} }, delete: { enabled: true } }`,
    `http: { addr: ${host}${secure} }`,
    ...(htpasswd === undefined ? [] : [`auth: { htpasswd: { realm: tests, path: ${users} } }`]),
    "",
  ].join("\n");
}
