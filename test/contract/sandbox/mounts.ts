import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { isTsbuildError } from "../../../src/core/index.ts";
import type { SandboxMount } from "../../../src/sandbox/index.ts";
import { writeTree } from "../../support/directory-tree.ts";
import type { FinishedStep, StepRequest, Workbench } from "./workbench.ts";

/** The mounts that a step asks for. */
export function mountsContract(bench: Workbench): void {
  describe("mounts", () => {
    test("a bind mount shows and takes changes", async () => {
      const source = await bench.makeFolder("bind-rw");
      await writeFile(join(source, "given"), "from outside");
      const mounts: SandboxMount[] = [{ type: "bind", source, target: "/mnt", readOnly: false }];
      expect(await bench.read("cat /mnt/given; echo made > /mnt/made", { mounts })).toBe(
        "from outside",
      );
      expect(readFileSync(join(source, "made"), "utf8")).toBe("made\n");
    });

    test("a read-only bind mount takes none", async () => {
      const source = await bench.makeFolder("bind-ro");
      await writeFile(join(source, "given"), "from outside");
      const mounts: SandboxMount[] = [{ type: "bind", source, target: "/mnt", readOnly: true }];
      for (const script of ["echo x > /mnt/given", "touch /mnt/new", "rm /mnt/given"])
        expect((await bench.run({ script, mounts })).exitCode).toBe(1);
      expect(readdirSync(source)).toEqual(["given"]);
      expect(readFileSync(join(source, "given"), "utf8")).toBe("from outside");
    });

    test("files are bound like folders", async () => {
      const source = join(bench.dir, "resolv.conf");
      await writeFile(source, "nameserver 192.0.2.1\n");
      const mounts: SandboxMount[] = [
        { type: "bind", source, target: "/etc/resolv.conf", readOnly: true },
      ];
      expect(await bench.read("cat /etc/resolv.conf", { mounts })).toBe("nameserver 192.0.2.1");
      expect(readFileSync(join(bench.root, "etc/resolv.conf"), "utf8")).toBe("");
    });

    test("mount points below /dev are made by the sandbox itself", async () => {
      const source = await bench.makeFolder("pipes");
      await writeFile(join(source, "script"), "#!/bin/sh\necho from a script\n", { mode: 0o755 });
      const mounts: SandboxMount[] = [
        { type: "bind", source, target: "/dev/pipes", readOnly: true },
        { type: "bind", source: join(source, "script"), target: "/dev/deep/run", readOnly: true },
        { type: "tmpfs", target: "/dev/shm" },
      ];
      expect(
        await bench.read("/dev/pipes/script; /dev/deep/run; touch /dev/shm/x", { mounts }),
      ).toBe("from a script\nfrom a script");
      expect(readdirSync(join(bench.root, "dev"))).toEqual([]);
    });

    test("nested ones lie on each other whatever order they are given in", async () => {
      const [outer, inner] = [await bench.makeFolder("outer/sub"), await bench.makeFolder("inner")];
      await writeFile(join(inner, "deep"), "deep");
      const mounts: SandboxMount[] = [
        { type: "bind", source: inner, target: "/mnt/sub", readOnly: true },
        { type: "bind", source: join(outer, ".."), target: "/mnt", readOnly: false },
      ];
      expect(await bench.read("cat /mnt/sub/deep; touch /mnt/wide", { mounts })).toBe("deep");
      expect((await bench.run({ script: "touch /mnt/sub/x", mounts })).exitCode).toBe(1);
      expect(readdirSync(join(outer, "..")).sort()).toEqual(["sub", "wide"]);
    });

    test("device nodes in a bind mount stay shut", async () => {
      const source = await bench.makeFolder("devices");
      const mounts: SandboxMount[] = [{ type: "bind", source, target: "/mnt", readOnly: false }];
      const script = "mknod /mnt/mem c 1 1; head -c1 /mnt/mem";
      expect((await bench.run({ script, mounts })).exitCode).not.toBe(0);
      await rm(source, { recursive: true });
    });

    test("tmpfs: size, mode, read-only", async () => {
      const mounts: SandboxMount[] = [
        { type: "tmpfs", target: "/mnt", sizeBytes: 1024 * 1024, mode: 0o750 },
        { type: "tmpfs", target: "/var", readOnly: true },
        { type: "tmpfs", target: "/home" },
      ];
      const step = { mounts };
      expect(await bench.read("stat -c %a /mnt /home", step)).toBe("750\n1777");
      await bench.read("head -c 1000000 /dev/zero > /mnt/fits", step);
      const tooMuch = "head -c 2000000 /dev/zero > /mnt/much";
      expect((await bench.run({ ...step, script: tooMuch })).exitCode).not.toBe(0);
      expect((await bench.run({ ...step, script: "touch /var/x" })).exitCode).toBe(1);
      await bench.read("touch /home/x", step);
      expect(readdirSync(join(bench.root, "home"))).toEqual([]);
    });

    test("a path beneath a folder that strangers write to never leads out of it", async () => {
      const source = await bench.makeFolder("beneath");
      await writeTree(source, { "in/file": "inside" });
      await symlink("in", join(source, "near"));
      await symlink("/etc", join(source, "absolute"));
      await symlink("../..", join(source, "upwards"));
      const mountOf = (beneath: string): SandboxMount[] => [
        { type: "bind", source, beneath, target: "/mnt", readOnly: true },
      ];
      for (const beneath of ["in", "near"])
        expect(await bench.read("cat /mnt/file", { mounts: mountOf(beneath) })).toBe("inside");
      for (const beneath of ["absolute", "upwards", "..", "absolute/ssl"]) {
        await expect(
          bench.run({ script: "ls /mnt", mounts: mountOf(beneath) }),
        ).rejects.toMatchObject({ code: "SANDBOX_MOUNT_FAILED" });
      }
    });

    test("a part of layers, merged; with an upper layer it can be written to", async () => {
      const [top, bottom] = [await bench.makeFolder("top"), await bench.makeFolder("bottom")];
      const [upper, work] = [
        await bench.makeFolder("tree-upper"),
        await bench.makeFolder("tree-work"),
      ];
      await writeTree(bottom, { "a/one": "1", "a/two": "bottom", outside: "x" });
      await writeTree(top, { "a/two": "top" });
      const tree = { type: "tree", path: "/a", isFile: false, target: "/mnt" } as const;
      const lower = [top, bottom];
      const shown: SandboxMount[] = [
        { ...tree, rootfs: { type: "overlay", lower }, readOnly: true },
        {
          ...tree,
          rootfs: { type: "overlay", lower },
          path: "/a/two",
          isFile: true,
          target: "/mnt2",
          readOnly: true,
        },
      ];
      await bench.read("touch /mnt2");
      expect(await bench.read("cat /mnt/* /mnt2; ls /mnt", { mounts: shown })).toBe(
        "1toptopone\ntwo",
      );
      expect((await bench.run({ script: "touch /mnt/x", mounts: shown })).exitCode).toBe(1);
      const mounts: SandboxMount[] = [
        { ...tree, rootfs: { type: "overlay", lower, upper, work }, readOnly: false },
      ];
      await bench.read("echo new > /mnt/two; rm /mnt/one; rm /mnt2", { mounts });
      expect(readFileSync(join(upper, "a/two"), "utf8")).toBe("new\n");
      expect(readFileSync(join(top, "a/two"), "utf8")).toBe("top");
    });

    test("a secret: its bytes, mode and owner, in memory alone", async () => {
      const content = Buffer.from([0, 255, 10, 115]);
      const secret = { type: "secret", content, uid: 7, gid: 8 } as const;
      const mounts: SandboxMount[] = [
        { ...secret, target: "/mnt/plain", mode: 0o440 },
        {
          ...secret,
          content: Buffer.from("#!/bin/sh\necho ran\n"),
          target: "/mnt/run",
          mode: 0o755,
        },
        { type: "tmpfs", target: "/mnt" },
      ];
      const script =
        "stat -c '%a %u:%g %s' /mnt/plain; od -An -tx1 /mnt/plain; /mnt/run; (echo x > /mnt/plain) 2>/dev/null || echo kept; echo $VARIABLE";
      const secretEnv = ["VARIABLE=value"];
      expect(await bench.read(script, { mounts, secretEnv })).toBe(
        "440 7:8 4\n 00 ff 0a 73\nran\nkept\nvalue",
      );
    });

    test("a symlink in a target resolves inside the root", async () => {
      const source = await bench.makeFolder("through-link");
      await writeFile(join(source, "given"), "through");
      await bench.read("mkdir -p /srv/real && ln -sfn /srv /link");
      const mounts: SandboxMount[] = [
        { type: "bind", source, target: "/link/real", readOnly: true },
      ];
      expect(await bench.read("cat /srv/real/given", { mounts })).toBe("through");
    });
  });

  describe("a hostile root", () => {
    const places = ["proc", "dev", "sys", "etc/resolv.conf", "mnt/target", "mnt"];
    const ways = ["absolute", "relative", "magic"] as const;
    const cases = places.flatMap((place) => ways.map((way) => [place, way] as const));

    test.each(cases)("with a symlink at /%s (%s) changes nothing outside", async (place, way) => {
      const name = `hostile-${place.replace("/", "-")}-${way}`;
      const root = await bench.makeRoot(name);
      const victim = join(bench.dir, `${name}-victim`);
      await writeTree(victim, { witness: "untouched", "shm/": "", "pts/": "", "target/file": "x" });
      await mkdir(join(root, "mnt/target"));
      await rm(join(root, place), { recursive: true, force: true });
      const prefix = { absolute: "", relative: "../".repeat(30), magic: "/proc/self/root" }[way];
      await symlink(`${prefix}${victim}`, join(root, place));
      const source = await bench.makeFolder(`${name}-source`);
      const file = join(bench.dir, `${name}-file`);
      await writeFile(file, "");
      const before = describeTree(victim);

      const step = await settle(bench, {
        rootfs: { type: "directory", path: root, readOnly: false },
        mounts: ["/etc/resolv.conf", "/mnt/target"].map((target) => ({
          type: "bind",
          source: target === "/mnt/target" ? source : file,
          target,
          readOnly: false,
        })),
        script: `cat ${victim}/witness /${place}/witness; echo breach | tee ${victim}/witness /${place}/witness /mnt/target/witness`,
      });
      expect(describeTree(victim)).toEqual(before);
      expect(step?.stdout ?? "").not.toContain("untouched");
      await Promise.all([root, victim, source].map((path) => rm(path, { recursive: true })));
    });
  });
}

/** A hostile root may be refused or be run harmlessly; undefined when it was refused. */
async function settle(bench: Workbench, request: StepRequest): Promise<FinishedStep | undefined> {
  try {
    return await bench.run(request);
  } catch (error) {
    if (isTsbuildError(error) && error.code.startsWith("SANDBOX_")) return undefined;
    throw error;
  }
}

/** Every node of a tree with what a stranger could have changed. */
function describeTree(path: string): readonly string[] {
  const stat = lstatSync(path);
  const node = [path, stat.mode, stat.uid, stat.gid, stat.dev, stat.mtimeMs].join(" ");
  if (stat.isSymbolicLink()) return [`${node} ${readlinkSync(path)}`];
  if (stat.isFile()) return [`${node} ${readFileSync(path, "utf8")}`];
  if (!stat.isDirectory()) return [node];
  return [node, ...readdirSync(path).flatMap((name) => describeTree(join(path, name)))];
}
