import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { repository, tsbuildBin } from "../support/cli.ts";
import { debianRootTar } from "../support/debian.ts";
import { startRegistryProcess } from "../support/registry-process.ts";
import { whatIsLacking } from "../support/setup-workspace.ts";
import {
  type ContainerResult,
  UnprivilegedContainer,
  unpackRoot,
} from "../support/unprivileged-container.ts";

// What a user without any privilege can do in a container with Docker's default capabilities and seccomp profile.

const lacking = whatIsLacking(["runc", "mmdebstrap", "docker-registry", "unshare", "tar"]);
let folder = "";
let container: UnprivilegedContainer;

beforeAll(async () => {
  if (lacking !== undefined) return;
  folder = await mkdtemp(join(tmpdir(), "tsbuild-unprivileged-work-"));
  await chmod(folder, 0o755);
  const tar = await debianRootTar();
  await unpackRoot(tar, join(folder, "lower"));
  await mkdir(join(folder, "small"));
  await writeFile(join(folder, "small/Dockerfile"), smallDockerfile);
  await writeFile(join(folder, "small/file"), "content");
  const dir = await mkdtemp(join(folder, "container-"));
  const privileges = { volumes: [folder] };
  container = await UnprivilegedContainer.create({ dir, lower: join(folder, "lower"), privileges });
});
beforeEach((step) => {
  if (lacking !== undefined) step.skip(lacking);
});
afterAll(async () => {
  if (folder !== "") await rm(folder, { recursive: true, force: true });
});

const smallDockerfile = `FROM scratch AS files
COPY --chown=12:34 --chmod=4711 file /file
FROM files
RUN true
`;

test("an ordinary user there builds without RUN, pushes, pulls, saves and loads; RUN is refused by name", async () => {
  const registry = await startRegistryProcess();
  try {
    const name = `${registry.host}/small:1`;
    const asUser = async (script: string): Promise<ContainerResult> => {
      const tool = `tsbuild() { '${process.execPath}' '${tsbuildBin}' "$@"; }`;
      // Folders on the way to this repository may be closed to others.
      const open = `d='${repository}'; while [ "$d" != / ]; do chmod o+x "$d" 2>/dev/null || true; d=$(dirname "$d"); done`;
      const user = ["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups"].join(" ");
      return container.run([
        ...[
          "sh",
          "-ec",
          `${open}; mkdir -p /tmp/u; chown 1000:1000 /tmp/u; exec ${user} sh -ec "$0"`,
        ],
        `export HOME=/tmp/u NO_COLOR=1; ${tool}; ${script}`,
      ]);
    };
    const small = join(folder, "small");
    const whole = await asUser(
      `tsbuild build -q --target files -t ${name} ${small}
       tsbuild push ${name} >&2
       tsbuild save ${name} -o /tmp/u/x.tar
       TSBUILD_ROOT=/tmp/u/loaded tsbuild load -q -i /tmp/u/x.tar >&2
       TSBUILD_ROOT=/tmp/u/loaded tsbuild inspect ${name} | grep -o '"Id": *"[^"]*"'
       TSBUILD_ROOT=/tmp/u/pulled tsbuild pull ${name} >&2
       TSBUILD_ROOT=/tmp/u/pulled tsbuild inspect ${name} | grep -o '"Id": *"[^"]*"'`,
    );
    expect(whole).toMatchObject({ code: 0 });
    const ids = whole.stdout.trim().split("\n");
    expect(ids).toHaveLength(3);
    expect(ids.slice(1)).toEqual(Array(2).fill(`"Id": "${ids[0] ?? ""}"`));

    const refused = await asUser(`tsbuild build ${small}`);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("[SANDBOX_UNAVAILABLE]");
    expect(refused.stderr).toMatch(/^hint: .*run as root/m);

    // What stands in the sidecar is checked like what stands on the disk.
    const verified = await asUser(
      `tsbuild system verify; cd /tmp/u/.local/share/tsbuild/snapshots; sed -i 's/"uid":12,/"uid":13,/' *-files/looks
       tsbuild system verify`,
    );
    expect(verified.code).toBe(1);
    expect(verified.stdout + verified.stderr).toMatch(/nothing is damaged\n(.*\n)*.*sha256:/);
  } finally {
    await registry.stop();
  }
});
