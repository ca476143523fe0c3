import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Workbench } from "./workbench.ts";

/** What Docker grants by default, as the kernel prints it. */
const defaultCapabilities = "00000000a80425fb";
const none = "0000000000000000";
const bob = { uid: 1000, gid: 1000, groups: [1000, 10], home: "/home/bob" };

/** What a step is, sees and may do. */
export function confinementContract(bench: Workbench): void {
  describe("privileges", () => {
    test("root holds Docker's capabilities, and no more can be had", async () => {
      expect(parseStatus(await bench.read("cat /proc/self/status"))).toMatchObject({
        CapEff: defaultCapabilities,
        CapPrm: defaultCapabilities,
        CapBnd: defaultCapabilities,
        CapInh: none,
        CapAmb: none,
        Seccomp: "2",
        NoNewPrivs: "0",
        Uid: "0 0 0 0",
        Gid: "0 0 0 0",
        Groups: "0",
        Umask: "0022",
      });
    });

    test("another user holds none, and setuid programs still work", async () => {
      const step = { user: bob };
      expect(parseStatus(await bench.read("cat /proc/self/status", step))).toMatchObject({
        CapEff: none,
        CapPrm: none,
        CapBnd: defaultCapabilities,
        CapInh: none,
        CapAmb: none,
        Seccomp: "2",
        NoNewPrivs: "0",
        Uid: "1000 1000 1000 1000",
        Gid: "1000 1000 1000 1000",
      });
      expect(await bench.read("id -u; id -g; id -G", step)).toBe("1000\n1000\n1000 10");
      // ping is an applet that keeps the privileges of a setuid busybox.
      await bench.read("mkdir -p /srv && cp /bin/busybox /srv/ping && chmod 4755 /srv/ping");
      // Until the child has become that program.
      const isRoot = "grep -q '^Uid:.1000.0' /proc/$!/status";
      const ping = `/srv/ping 127.0.0.1 > /dev/null & until ${isRoot} || [ $((n+=1)) -gt 3000 ]; do sleep 0.01; done; grep ^Uid: /proc/$!/status`;
      expect(await bench.read(ping, step)).toBe("Uid:\t1000\t0\t0\t0");
    });

    test("numbers without an account work", async () => {
      const user = { uid: 2147483647, gid: 4711, groups: [4711, 12, 13], home: "/" };
      expect(await bench.read("id -u; id -g; id -G", { user })).toBe(
        "2147483647\n4711\n4711 12 13",
      );
    });

    test("the soft limit of open files is not the one that Node raised for itself", async () => {
      const limits = readFileSync("/proc/self/limits", "utf8");
      const hard = /^Max open files\s+\d+\s+(\d+)/m.exec(limits)?.[1];
      expect(await bench.read("ulimit -Hn")).toBe(hard);
      expect(await bench.read("ulimit -Sn")).toBe(String(Math.min(1024, Number(hard))));
    });

    test.each([
      ["mount", "mount -t tmpfs none /mnt"],
      ["bind mount", "mount -o bind /tmp /mnt"],
      ["remount", "mount -o remount,rw,bind /sys"],
      ["unmount", "umount /dev/shm"],
      ["new mount namespace", "unshare -m true"],
      ["new user namespace", "unshare -U true"],
      ["new network namespace", "unshare -n true"],
      ["join PID 1's mount namespace", "nsenter -t 1 -m true"],
      ["host name", "hostname other"],
      ["kernel setting", "echo 1 > /proc/sys/vm/drop_caches"],
      ["host name by sysctl", "echo other > /proc/sys/kernel/hostname"],
      ["sysrq", "echo h > /proc/sysrq-trigger"],
      ["sysfs", "echo 1 > /sys/kernel/uevent_helper"],
      ["kernel memory", "mknod /tmp/mem c 1 1 && head -c1 /tmp/mem"],
      ["kernel log", "mknod /tmp/kmsg c 1 11 && head -c1 /tmp/kmsg"],
      ["kernel log by syslog", "dmesg"],
      ["terminal", ": > /dev/tty"],
    ])("refuses: %s", async (_what, script) => {
      expect((await bench.run({ script })).exitCode).not.toBe(0);
    });

    test.each(["/tmp", "/dev", "/dev/shm", "/root"])(
      "a block device that a step makes in %s cannot be opened",
      async (folder) => {
        const [device = "7:0"] = readdirSync("/sys/dev/block");
        const node = `${folder}/disk`;
        const make = `mknod ${node} b ${device.replace(":", " ")}`;
        expect((await bench.run({ script: `${make}; head -c1 ${node}` })).exitCode).not.toBe(0);
      },
    );

    test("insecure lifts capabilities, system call filter, masks and read-only kernel files", async () => {
      const step = { security: "insecure" } as const;
      const own = parseStatus(readFileSync("/proc/self/status", "utf8"));
      expect(parseStatus(await bench.read("cat /proc/self/status", step))).toMatchObject({
        CapEff: own["CapEff"],
        CapBnd: own["CapBnd"],
        Seccomp: own["Seccomp"],
      });
      const mounts = parseMounts(await bench.read("cat /proc/self/mountinfo", step));
      expect([...mounts.keys()].filter((target) => target.startsWith("/proc/"))).toEqual([]);
      await bench.read("mount -t tmpfs none /mnt && umount /mnt", step);
    });
  });

  describe("surroundings", () => {
    test("the command is PID 1 of its own world, in a session without a terminal", async () => {
      expect(await bench.read("echo $$")).toBe("1");
      const pids = (await bench.read("ls /proc | grep '^[0-9]*$' | sort -n")).split("\n");
      expect(pids.length).toBeLessThan(8);
      expect(await bench.read("cut -d' ' -f7 /proc/1/stat")).toBe("0");
    });

    test("namespaces are its own, except the network where it is the host's", async () => {
      const names = ["mnt", "pid", "uts", "ipc", "net"];
      const inside = (
        await bench.read(names.map((name) => `readlink /proc/self/ns/${name}`).join(";"))
      ).split("\n");
      const outside = names.map((name) => readlinkSync(`/proc/self/ns/${name}`));
      expect(inside.map((namespace, index) => namespace === outside[index])).toEqual([
        false,
        false,
        false,
        false,
        true,
      ]);
    });

    test("only the three standard streams are open", async () => {
      const step = await bench.run({ argv: ["/bin/ls", "/proc/self/fd"] });
      // The fourth is the directory that ls reads.
      expect(step.stdout.split(/\s+/).filter((fd) => fd !== "")).toEqual(["0", "1", "2", "3"]);
    });

    test("environment exactly as given", async () => {
      const env = [
        "PATH=/bin",
        "HOME=/x",
        "EMPTY=",
        "EQ=a=b=",
        "SPACE= a b ",
        "UTF=ä€😀",
        'Q="$x`',
      ];
      const step = await bench.run({ argv: ["/bin/env"], env });
      expect(Buffer.from(step.stdout, "latin1").toString().trimEnd().split("\n").sort()).toEqual(
        env.toSorted(),
      );
    });

    test("arguments exactly as given", async () => {
      const words = ["", "a b", "$HOME", "*", "new\nline", "ä€😀", "--", "x".repeat(100_000)];
      const step = await bench.run({ argv: ["/bin/printf", "[%s]", ...words] });
      const expected = words.map((word) => `[${word}]`).join("");
      expect(Buffer.from(step.stdout, "latin1").toString()).toBe(expected);
    });

    test("host name and working directory", async () => {
      expect(await bench.read("hostname", { hostname: "a-step" })).toBe("a-step");
      expect(await bench.read("pwd; readlink /proc/self/cwd", { cwd: "/home" })).toBe(
        "/home\n/home",
      );
    });

    test("a working directory behind a symlink", async () => {
      await bench.read("ln -sfn ../home /mnt/there");
      expect(await bench.read("readlink /proc/self/cwd", { cwd: "/mnt/there" })).toBe("/home");
    });

    test("network none has the loopback alone, and it is up", async () => {
      const network = "none";
      const interfaces = "sed -n 's/^ *\\([^:]*\\):.*/\\1/p' /proc/net/dev";
      expect(await bench.read(interfaces, { network })).toBe("lo");
      expect(await bench.read("ip -o link show lo", { network })).toMatch(/[<,]UP[,>]/);
      await bench.read("ping -c1 -W60 127.0.0.1 > /dev/null", { network });
      // Other work on the machine may make and remove some between two looks.
      let [before, inside] = ["", ""];
      do {
        before = interfacesHere();
        inside = (await bench.read(interfaces)).split("\n").sort().join(" ");
      } while (interfacesHere() !== before);
      expect(inside).toBe(before);
    });
  });

  describe("filesystem", () => {
    test("the standard mounts, private, with their flags", async () => {
      const mounts = parseMounts(await bench.read("cat /proc/self/mountinfo"));
      const flags = (target: string): readonly string[] => mounts.get(target)?.flags ?? [];
      expect(flags("/proc")).toEqual(expect.arrayContaining(["rw", "nosuid", "nodev", "noexec"]));
      expect(flags("/sys")).toEqual(expect.arrayContaining(["ro", "nosuid", "nodev", "noexec"]));
      expect(flags("/dev")).toEqual(expect.arrayContaining(["rw", "nosuid"]));
      expect(flags("/dev/pts")).toEqual(expect.arrayContaining(["rw", "nosuid", "noexec"]));
      for (const target of ["/dev/shm", "/dev/mqueue"])
        expect(flags(target)).toEqual(expect.arrayContaining(["rw", "nosuid", "nodev", "noexec"]));
      for (const name of ["bus", "fs", "irq", "sys", "sysrq-trigger"])
        if (existsSync(`/proc/${name}`)) expect(flags(`/proc/${name}`)).toContain("ro");
      expect([...mounts.values()].flatMap(({ propagation }) => propagation)).toEqual([]);
      expect([...mounts.keys()].filter((target) => target.includes(bench.dir))).toEqual([]);
    });

    test("/dev holds the standard nodes and nothing else", async () => {
      const names = (await bench.read("ls -A /dev")).split("\n");
      expect(names.filter((name) => name !== "core").sort()).toEqual(
        "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero".split(" "),
      );
      expect(
        await bench.read(
          "stat -c '%F %a %t:%T' /dev/null /dev/zero /dev/full /dev/random /dev/tty",
        ),
      ).toBe(
        ["1:3", "1:5", "1:7", "1:8", "5:0"]
          .map((id) => `character special file 666 ${id}`)
          .join("\n"),
      );
      expect(await bench.read("for n in fd stdin stdout stderr; do readlink /dev/$n; done")).toBe(
        "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2",
      );
      await bench.read("echo x > /dev/null && head -c4 /dev/zero /dev/urandom > /dev/null");
      await bench.read("echo x > /dev/null", { user: bob });
    });

    test("/dev/shm and /dev/pts are as programs expect them", async () => {
      expect(await bench.read("stat -c %a /dev/shm")).toBe("1777");
      const blocks = "stat -f -c '%b %S' /dev/shm";
      const [count = 0, size = 0] = (await bench.read(blocks)).split(" ").map(Number);
      expect(count * size).toBe(64 * 1024 * 1024);
      const step = { shmSize: 1024 * 1024 };
      const [few = 0, bytes = 0] = (await bench.read(blocks, step)).split(" ").map(Number);
      expect(few * bytes).toBe(1024 * 1024);
      await bench.read("test -c /dev/ptmx || test -c /dev/pts/ptmx; : <> /dev/ptmx", { user: bob });
    });

    test("kernel files that tell or do too much are masked", async () => {
      for (const path of ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/interrupts"])
        expect(
          await bench.read(`if [ -e ${path} ]; then head -c64 ${path} | wc -c; else echo 0; fi`),
        ).toBe("0");
      for (const path of ["/proc/acpi", "/proc/scsi", "/sys/firmware"])
        expect(await bench.read(`if [ -e ${path} ]; then ls -A ${path}; fi`)).toBe("");
    });

    test("the host's files are out of reach", async () => {
      const secret = join(bench.dir, "secret");
      await writeFile(secret, "of the host");
      const ups = "../".repeat(40);
      for (const path of [
        secret,
        `/${ups}${secret}`,
        `${ups}${secret}`,
        `/proc/1/root${secret}`,
        `/proc/1/root/${ups}${secret}`,
        `/proc/self/cwd/${ups}${secret}`,
        `/proc/1/cwd/${ups}${secret}`,
        `/proc/self/fd/0/${ups}${secret}`,
      ])
        expect(await bench.run({ script: `cat ${path}` })).toMatchObject({
          exitCode: 1,
          stdout: "",
        });
      const escape = `mkdir -p /tmp/jail && chroot /tmp/jail /proc/1/root/bin/cat ${secret}`;
      expect((await bench.run({ script: escape })).exitCode).not.toBe(0);
    });

    test("a read-only root refuses writes; mounts stay as they say", async () => {
      const source = await bench.makeFolder("writable");
      const step = {
        readOnlyRootfs: true,
        mounts: [
          { type: "tmpfs", target: "/tmp" },
          { type: "bind", source, target: "/mnt", readOnly: false },
        ],
      } as const;
      expect((await bench.run({ ...step, script: "touch /new" })).exitCode).toBe(1);
      expect((await bench.run({ ...step, script: "echo x > /etc/passwd" })).exitCode).toBe(1);
      await bench.read("echo x > /tmp/x && echo x > /mnt/x && echo x > /dev/shm/x", step);
    });

    test("an overlay: the change goes to the upper directory alone", async () => {
      const [upper, work] = [await bench.makeFolder("upper"), await bench.makeFolder("work")];
      const rootfs = { type: "overlay", lower: [bench.root], upper, work } as const;
      await bench.read("echo changed > /tmp/changed && rm /etc/hosts", { rootfs });
      expect(readdirSync(upper).sort()).toEqual(["etc", "tmp"]);
      expect(readFileSync(join(upper, "tmp/changed"), "utf8")).toBe("changed\n");
      expect(readdirSync(join(bench.root, "etc"))).toContain("hosts");
      expect(readdirSync(join(bench.root, "tmp"))).not.toContain("changed");
    });

    test("an overlay without upper is read-only", async () => {
      const empty = await bench.makeFolder("empty");
      const rootfs = { type: "overlay", lower: [empty, bench.root] } as const;
      expect((await bench.run({ rootfs, script: "touch /new" })).exitCode).toBe(1);
    });
  });
}

function interfacesHere(): string {
  return readFileSync("/proc/net/dev", "utf8")
    .split("\n")
    .flatMap((line) => /^ *([^:|]+):/.exec(line)?.[1] ?? [])
    .sort()
    .join(" ");
}

function parseStatus(text: string): Record<string, string> {
  const pairs = text.split("\n").map((line) => line.split(":\t"));
  return Object.fromEntries(
    pairs.map(([key = "", value = ""]) => [key, value.trim().replace(/\s+/g, " ")]),
  );
}

interface Mount {
  readonly flags: readonly string[];
  /** Optional fields such as `shared:1`; none for a private mount. */
  readonly propagation: readonly string[];
}

/** By target; the topmost where several lie on each other. */
function parseMounts(mountinfo: string): ReadonlyMap<string, Mount> {
  return new Map(
    mountinfo.split("\n").map((line) => {
      const fields = line.split(" ");
      const flags = (fields[5] ?? "").split(",");
      return [fields[4] ?? "", { flags, propagation: fields.slice(6, fields.indexOf("-")) }];
    }),
  );
}
