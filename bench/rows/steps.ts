import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execute } from "../measure/run-command.ts";
import { smallBase, type Workspace } from "../workspace.ts";
import { buildingAll, emptyNode } from "./build-row.ts";
import { type BenchRow, type PreparedRow, RowSkipped } from "./row.ts";
import { imageOfManyFiles } from "./start.ts";

const debianBase = "bench-debian:1";
const twenty = Array.from({ length: 20 }, (_, n) => n);
const stages = ["a", "b", "c", "d"];

/** Rows that are about RUN. */
export const stepRows: readonly BenchRow[] = [
  {
    name: "run-echo-20",
    what: "20 × RUN echo",
    goals: [{ of: "peer", atMost: 0.3 }],
    prepare: async (workspace) => {
      const dockerfile = [`FROM ${smallBase}`, ...twenty.map((n) => `RUN echo ${String(n)}`), ""];
      const files = { Dockerfile: dockerfile.join("\n") };
      const context = await workspace.context("run-echo-20", files);
      const script = 'for n in $(seq 20); do chroot "$1" /bin/sh -c "echo $n"; done';
      const floor = {
        what: "20 × chroot sh -c echo",
        command: () => ["sh", "-c", script, "sh", root],
      };
      const root = await workspace.folder("small-root");
      await execute(["sh", "-c", `mkdir ${root}/bin && cp /bin/busybox ${root}/bin/sh`]);
      return buildingAll({ name: "run-echo-20", context, fresh: true, floor });
    },
  },
  {
    name: "four-sleeps",
    what: "four stages of RUN sleep 2",
    goals: [{ of: "floor", atMost: 1.125 }],
    prepare: async (workspace) => {
      const dockerfile = [
        ...stages.flatMap((name) => [
          `FROM ${smallBase} AS ${name}`,
          `RUN /bin/busybox sleep 2 && echo ${name} > /${name}`,
        ]),
        "FROM scratch",
        ...stages.map((name) => `COPY --from=${name} /${name} /`),
        "",
      ];
      const files = { Dockerfile: dockerfile.join("\n") };
      const context = await workspace.context("four-sleeps", files);
      const floor = { what: "sleep 2", command: () => ["sleep", "2"] };
      return buildingAll({ name: "four-sleeps", context, fresh: true, floor });
    },
  },
  {
    name: "diff",
    what: "RUN that changes 10 of 100,000 files",
    goals: [{ of: "peer", atMost: 0.334 }],
    prepare: async (workspace) => {
      const { image, files } = await imageOfManyFiles(workspace);
      const changed = files.filter((_, index) => index % 10_000 === 0);
      const lines = changed.map((file) => `echo changed >> /data/${file}`);
      const dockerfile = `FROM ${image}\nRUN ${lines.join(" && \\\n    ")}\n`;
      const context = await workspace.context("diff", { Dockerfile: dockerfile });
      return buildingAll({ name: "diff", context, fresh: true, floor: emptyNode });
    },
  },
  realStep({
    name: "apt-install",
    what: "RUN apt-get install of 60 packages",
    command:
      "DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends --no-download $(cat /opt/packages)",
  }),
  realStep({
    name: "npm-ci",
    what: "RUN npm ci of 500 packages",
    command:
      "cd /opt/project && PATH=/opt:$PATH node /opt/npm/bin/npm-cli.js ci --offline --ignore-scripts --no-audit --no-fund --cache /opt/npm-cache",
  }),
  realStep({
    name: "pip-install",
    what: "RUN pip install",
    command:
      "python3 -m venv /opt/venv && /opt/venv/bin/pip install --no-index --find-links /opt/wheels -r /opt/requirements.txt",
  }),
];

/**
 * A RUN as people write them. What it installs was downloaded before and lies in the base image, so that no mirror's mood is
 * measured.
 */
function realStep(step: {
  readonly name: string;
  readonly what: string;
  readonly command: string;
}): BenchRow {
  const { name, what, command } = step;
  return {
    name,
    what,
    goals: [{ of: "floor", atMost: 1.05 }],
    warmUp: false,
    prepare: async (workspace) => {
      const tar = await debianTar(workspace);
      await workspace.image(debianBase, async () => {
        const dockerfile = `FROM scratch\nADD root.tar /\n`;
        const base = await workspace.context("debian", { Dockerfile: dockerfile });
        await copyFile(tar, join(base, "root.tar"));
        return base;
      });
      const context = await workspace.context(name, {});
      await writeFile(join(context, "Dockerfile"), `FROM ${debianBase}\nRUN ${command}\n`);
      const floor = chrootFloor(workspace, { tar, command });
      return buildingAll({ name, context, fresh: true, floor });
    },
  };
}

/** The command in a copy of the root, with /proc and /dev in a mount namespace that goes with it. */
function chrootFloor(
  workspace: Workspace,
  { tar, command }: { readonly tar: string; readonly command: string },
): PreparedRow["floor"] {
  let root = "";
  const script =
    'mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && ' +
    'exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root chroot "$1" /bin/sh -c "$2"';
  const shell = ["unshare", "--mount", "--pid", "--fork", "sh", "-c", script, "sh"];
  return {
    what: "the command in a chroot",
    reset: async () => {
      root = await workspace.folder("chroot");
      await execute(["tar", "-C", root, "--numeric-owner", "-xpf", tar], workspace.signal);
    },
    command: () => [...shell, root, command],
  };
}

async function debianTar({ directory, signal }: Workspace): Promise<string> {
  try {
    const output = await execute(["bench/inputs/make-debian-root.sh"], signal);
    return output.trim().split("\n").at(-1) ?? directory;
  } catch (error) {
    signal.throwIfAborted();
    const why = error instanceof Error ? error.message : String(error);
    throw new RowSkipped(`no Debian root could be made: ${why}`);
  }
}
