/** What the command line says about every RUN of a build; texts as they are written there. */
export interface RunOptions {
  /** Entitlements: `network.host`, `security.insecure`; comma lists. */
  readonly allow?: readonly string[];
  /** `id=…[,src=…|env=…][,type=file|env]`; of two with one id the later counts. */
  readonly secrets?: readonly string[];
  /** A secret that gets into what the build makes is told, and does not fail it. */
  readonly allowSecretLeak?: boolean;
  /** `default`, or `id[=socket|key,…]`. */
  readonly ssh?: readonly string[];
  /** `name:address` or `name=address`, addresses as a comma list, `[v6]` or `host-gateway`. */
  readonly addHosts?: readonly string[];
  /** `name=soft[:hard]`. */
  readonly ulimits?: readonly string[];
  /** Such as `128m`. */
  readonly shmSize?: string | undefined;
  readonly cgroupParent?: string | undefined;
  /** `name=value`, comma lists: memory, memory-swap, cpu-shares, cpu-period, cpu-quota, cpuset-cpus, cpuset-mems. */
  readonly resources?: readonly string[];
}
