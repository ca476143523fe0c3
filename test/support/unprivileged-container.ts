import { execFile, spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { readHost } from "../../src/sandbox/builtin/host.ts";
import { makeRuntimeConfig, serializeConfig } from "../../src/sandbox/oci/make-config.ts";
import { repository } from "./cli.ts";

/** What a container has beside, or instead of, what Docker gives by default. */
export interface ContainerPrivileges {
  readonly addCapabilities?: readonly string[];
  readonly dropCapabilities?: readonly string[];
  /** `unconfined`: no filter of system calls. */
  readonly seccomp?: "unconfined";
  /** Folders of the host, writable, at the same path inside. */
  readonly volumes?: readonly string[];
  /** Files of the host, to be read at the same path inside. */
  readonly shown?: readonly string[];
  /** A folder of the host that is what programs of this repository keep below node_modules/.cache, writable. */
  readonly caches?: string;
  /** A tmpfs there, which like most is nodev. */
  readonly tmpfs?: string;
}

export interface ContainerResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * A container as Docker makes it by default: its root is an overlay, its processes have Docker's capabilities and its
 * filter of system calls, and namespaces of their own except the network. runc starts it; what its commands write stays
 * from one to the next. This repository and Node are there at their paths of the host.
 */
export class UnprivilegedContainer {
  readonly #dir: string;
  readonly #lower: string;
  readonly #privileges: ContainerPrivileges;

  private constructor(dir: string, lower: string, privileges: ContainerPrivileges) {
    this.#dir = dir;
    this.#lower = lower;
    this.#privileges = privileges;
  }

  /** `tar`: a Debian root filesystem; `lower`: where it is unpacked to, once for all containers. */
  static async create(options: {
    readonly dir: string;
    readonly lower: string;
    readonly privileges?: ContainerPrivileges;
  }): Promise<UnprivilegedContainer> {
    for (const name of ["upper", "work", "root", "runc"]) {
      await mkdir(join(options.dir, name), { recursive: true });
    }
    return new UnprivilegedContainer(options.dir, options.lower, options.privileges ?? {});
  }

  /** Runs a command to its end; never rejects because of an exit code. */
  async run(
    argv: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<ContainerResult> {
    const child = await this.start(argv, env);
    const output = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"] as const) {
      child[stream]?.setEncoding("utf8").on("data", (text: string) => (output[stream] += text));
    }
    const code = await new Promise<number>((resolve) => {
      child.once("close", (status) => resolve(status ?? 255));
    });
    return { code, ...output };
  }

  /** `tsbuild` with these arguments. */
  async tsbuild(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<ContainerResult> {
    return this.run([process.execPath, join(repository, "bin/tsbuild.js"), ...args], env);
  }

  /** The process on the host whose child is the container's first one. */
  async start(
    argv: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<ChildProcess> {
    const id = `unprivileged-${randomBytes(6).toString("hex")}`;
    const bundle = join(this.#dir, id);
    await mkdir(bundle);
    await writeFile(join(bundle, "config.json"), serializeConfig(this.#config(argv, { env, id })));
    const path = (name: string): string => join(this.#dir, name);
    const layers = `lowerdir=${this.#lower},upperdir=${path("upper")},workdir=${path("work")}`;
    const script = [
      `mount -t overlay overlay -o ${layers} ${path("root")}`,
      `exec runc --root ${path("runc")} run --bundle ${bundle} ${id}`,
    ].join(" && ");
    return spawn("unshare", ["-m", "sh", "-c", script], { stdio: ["ignore", "pipe", "pipe"] });
  }

  #config(
    argv: readonly string[],
    { env, id }: { env: Readonly<Record<string, string>>; id: string },
  ) {
    const {
      addCapabilities = [],
      dropCapabilities = [],
      seccomp,
      volumes = [],
      shown: files = [],
      caches,
      tmpfs,
    } = this.#privileges;
    const shown = [
      repository,
      dirname(process.execPath),
      "/etc/resolv.conf",
      "/etc/hosts",
      ...files,
    ];
    const config = makeRuntimeConfig({
      spec: {
        rootfs: { type: "directory", path: join(this.#dir, "root"), readOnly: false },
        argv,
        env: Object.entries({
          PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
          HOME: "/root",
          NO_COLOR: "1",
          ...env,
        }).map(([name, value]) => `${name}=${value}`),
        cwd: "/",
        user: { uid: 0, gid: 0, groups: [0], home: "/root" },
        hostname: "unprivileged",
        network: "host",
        mounts: [],
        security: "sandbox",
      },
      host: readHost(),
      rootPath: join(this.#dir, "root"),
      cgroupsPath: id,
      stagedPaths: new Map(),
    });
    const held = config.process.capabilities.bounding
      .filter((name) => !dropCapabilities.includes(name))
      .concat(addCapabilities);
    const cachePlace = join(repository, "node_modules/.cache");
    const binds = [
      ...shown.map((source) => ({ source, destination: source, access: "ro" })),
      ...volumes.map((source) => ({ source, destination: source, access: "rw" })),
      ...(caches === undefined ? [] : [{ source: caches, destination: cachePlace, access: "rw" }]),
    ].map(({ source, destination, access }) => ({
      destination,
      type: "bind",
      source,
      options: ["rbind", access],
    }));
    const memory =
      tmpfs === undefined
        ? []
        : [{ destination: tmpfs, type: "tmpfs", source: "tmpfs", options: ["nodev"] }];
    const { seccomp: filter, ...linux } = config.linux;
    return {
      ...config,
      process: {
        ...config.process,
        capabilities: {
          bounding: held,
          permitted: held,
          effective: held,
          inheritable: [],
          ambient: [],
        },
      },
      mounts: [...config.mounts, ...binds, ...memory],
      linux:
        seccomp === "unconfined" || filter === undefined ? linux : { ...linux, seccomp: filter },
    } as typeof config;
  }
}

/** Unpacks a root filesystem's tar into `folder`, which is made. */
export async function unpackRoot(tar: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const flags = ["--xattrs", "--xattrs-include=*", "--numeric-owner", "-p"];
  await promisify(execFile)("tar", ["-C", folder, ...flags, "-xf", tar]);
}
