import type { BenchRow } from "./measure.ts";
import { buildCommand } from "./peers.ts";

const emptyNode = [process.execPath, "-e", "0"];

export const rows: readonly BenchRow[] = [
  buildRow({
    name: "cached-rebuild",
    fresh: false,
    floor: emptyNode,
    dockerfile: [
      "FROM bench-base:1",
      "ENV A=1 B=2",
      "WORKDIR /app",
      "COPY a.txt .",
      "RUN echo one",
      "COPY b.txt .",
      "RUN echo two",
      "LABEL x=y",
      "EXPOSE 80",
      "RUN echo three",
      'ENTRYPOINT ["/bin/sh"]',
      'CMD ["-c", "true"]',
    ],
  }),
  buildRow({
    name: "run-echo-20",
    fresh: true,
    floor: emptyNode,
    dockerfile: ["FROM bench-base:1", ...Array.from({ length: 20 }, (_, n) => `RUN echo ${n}`)],
  }),
  buildRow({
    name: "four-sleeps",
    fresh: true,
    floor: ["sleep", "2"],
    dockerfile: [
      ...["a", "b", "c", "d"].flatMap((name) => [
        `FROM bench-base:1 AS ${name}`,
        `RUN /bin/busybox sleep 2 && echo ${name} > /${name}`,
      ]),
      "FROM scratch",
      ...["a", "b", "c", "d"].map((name) => `COPY --from=${name} /${name} /`),
    ],
  }),
  {
    name: "run-true",
    prepare: async (workspace, peers) =>
      Promise.resolve({
        tsbuild: workspace.tsbuild(["run", "--rm", "bench-base:1", "/bin/sh", "-c", "true"]),
        peers: peers.includes("docker")
          ? {
              docker: [
                "docker",
                "run",
                "--rm",
                "--network",
                "host",
                "bench-base:1",
                "/bin/sh",
                "-c",
                "true",
              ],
            }
          : {},
        floor: emptyNode,
      }),
  },
];

function buildRow(row: {
  readonly name: string;
  readonly fresh: boolean;
  readonly dockerfile: readonly string[];
  readonly floor: readonly string[];
}): BenchRow {
  const { name, fresh, floor } = row;
  return {
    name,
    prepare: async (workspace, peers) => {
      const context = await workspace.context(name, {
        Dockerfile: `${row.dockerfile.join("\n")}\n`,
        "a.txt": "a\n",
        "b.txt": "b\n",
      });
      const tag = `bench-${name}:1`;
      const cache = fresh ? ["--no-cache"] : [];
      return {
        tsbuild: workspace.tsbuild(["build", "-q", ...cache, "-t", tag, context]),
        peers: Object.fromEntries(
          peers.map((peer) => [peer, buildCommand(peer, { context, tag, fresh })]),
        ),
        floor,
      };
    },
  };
}
