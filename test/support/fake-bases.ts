import {
  formatReference,
  parseReference,
  TsbuildError,
  type ChainId,
  type Digest,
} from "../../src/core/index.ts";
import { digestOf } from "../../src/core/index.ts";
import type { ExecConfig, ImageConfig } from "../../src/image/index.ts";
import type { BaseImage, PlanOptions } from "../../src/plan/index.ts";

const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Made-up images by the name that a Dockerfile uses for them. */
const configs: Readonly<
  Record<string, Partial<Omit<ImageConfig, "config">> & { config: ExecConfig }>
> = {
  "debian:12": { config: { env: [path], cmd: ["bash"] } },
  "node:22": {
    config: {
      env: [path, "NODE_VERSION=22.0.0"],
      entrypoint: ["docker-entrypoint.sh"],
      cmd: ["node"],
    },
  },
  "node:latest": { config: { env: [path], cmd: ["node"] } },
  "configured:1": {
    author: "somebody",
    config: {
      user: "app",
      exposedPorts: ["80/tcp"],
      env: ["PATH=/opt/bin:/bin", "LANG=C.UTF-8", "MODE=base"],
      entrypoint: ["/entry"],
      cmd: ["serve"],
      volumes: ["/data"],
      workingDir: "/srv/app",
      labels: { maker: "base", zone: "a" },
      stopSignal: "SIGINT",
      healthcheck: { test: ["CMD", "true"], interval: 5_000_000_000 },
      shell: ["/bin/bash", "-ec"],
    },
  },
  "triggers:1": {
    config: {
      env: [path],
      workingDir: "/app",
      onBuild: ["ARG EDITION=free", "COPY . /app", "RUN npm install --omit=$EDITION"],
    },
  },
  "reading-triggers:1": {
    config: {
      env: [path],
      onBuild: ["COPY --from=assets /out /out", "COPY --from=debian:12 /etc/passwd /etc/"],
    },
  },
  "broken-triggers:1": { config: { env: [path], onBuild: ["FROM debian:12"] } },
  "misspelt-triggers:1": { config: { env: [path], onBuild: ["RUM true"] } },
  "pathless:1": { config: {} },
  "relative:1": { config: { env: [path], workingDir: "srv" } },
  "layerless:1": { config: { env: [path, "KEPT=yes"] } },
  "arm:1": { architecture: "arm64", variant: "v8", config: { env: [path] } },
};

/** The names that the table has. */
export const fakeBaseNames: readonly string[] = Object.keys(configs);

/** Every lookup in the order in which it was asked for. */
export interface FakeBases {
  readonly resolveBase: PlanOptions["resolveBase"];
  readonly asked: readonly string[];
}

/** Answers from a fixed table; what is not in it does not exist. */
export function createFakeBases(): FakeBases {
  const asked: string[] = [];
  const known = new Map(
    Object.entries(configs).map(([name, config]) => [
      formatReference(parseReference(name)),
      config,
    ]),
  );
  return {
    asked,
    resolveBase: (reference, platform) => {
      asked.push(reference);
      const config = known.get(reference);
      return config === undefined
        ? Promise.reject(new TsbuildError({ code: "FAKE_NOT_FOUND", message: `find ${reference}` }))
        : Promise.resolve(
            toBase(reference, { os: "linux", architecture: platform.architecture, ...config }),
          );
    },
  };
}

function toBase(
  reference: string,
  config: Pick<ImageConfig, "os" | "architecture" | "config">,
): BaseImage {
  const imageId: Digest = digestOf(`config of ${reference} for ${config.architecture}`);
  const layer = digestOf(`layer of ${reference} for ${config.architecture}`) as ChainId;
  const isLayerless = reference.includes("layerless");
  return {
    reference,
    imageId,
    chainId: isLayerless ? undefined : layer,
    config: {
      created: "2024-01-01T00:00:00Z",
      diffIds: [],
      history: [{ created: "2024-01-01T00:00:00Z", createdBy: "base layer" }],
      ...config,
    },
  };
}
