import { unreachable } from "../../core/index.ts";
import type { CallOrigin } from "./call-list.ts";
import { CallList } from "./call-list.ts";
import * as linux from "./linux.ts";
import { lowerMountOp } from "./lower-mount-ops.ts";
import type { Namespace, Op, OpOf } from "./ops.ts";
import type { Call, OnError } from "./program.ts";
import {
  at,
  bytesDatum,
  longsDatum,
  reportDatum,
  reportFd,
  reportSize,
  reportTag,
  scratchDatum,
  textDatum,
  textListDatum,
  wordsDatum,
} from "./program.ts";

export interface LoweredProgram {
  readonly calls: readonly Call[];
  /** Indexed by call number. */
  readonly origins: readonly CallOrigin[];
  /** Numbers of the descriptors that the first process holds at its end, by name. */
  readonly descriptors: ReadonlyMap<string, number>;
}

/** Turns ops into the system calls that do them. Pure: same ops, same calls. */
export function lowerOps(ops: readonly Op[]): LoweredProgram {
  const origins: CallOrigin[] = [];
  const list = CallList.first(origins);
  for (const op of ops) lowerOp(list, op);
  return { calls: list.calls, origins, descriptors: list.descriptors };
}

function lowerOp(list: CallList, op: Op): void {
  list.begin(op);
  switch (op.type) {
    case "die-with-parent":
      return list.add("prctl", [linux.prctl.setParentDeathSignal, linux.signal.kill]);
    case "setsid":
      return list.add("setsid", []);
    case "join-new-keyring":
      return lowerKeyring(list);
    case "close-descriptors":
      list.add("close_range", [reportFd + 1 + op.kept, 0xffffffff, 0]);
      list.add("close_range", [reportFd, reportFd, linux.closeRangeOnExec]);
      return list.forgetDescriptors(op.kept);
    case "pipe":
      return lowerPipe(list, op);
    case "use-as-stdio":
      return list.add("dup3", [list.held(op.from), op.fd, 0]);
    case "own-stdio":
      return list.add("fchown", [op.fd, op.uid, -1]);
    case "fork":
      return lowerFork(list, op);
    case "await-go":
      list.add("write", [reportFd, at(reportDatum(reportTag.ready)), reportSize]);
      return list.add("read", [reportFd, at(scratchDatum(1)), 1], { exitOnZero: true });
    case "await-hangup":
      return lowerAwaitHangup(list, op);
    case "adopt-orphans":
      return lowerAdoptOrphans(list);
    case "end-children":
      return lowerEndChildren(list);
    case "conclude":
      return lowerConclude(list, op);
    case "kill":
      // Once the child is a zombie there is nothing left to kill.
      return list.add("pidfd_send_signal", [list.held(op.pidfd), linux.signal.kill, 0, 0], {
        onError: tolerate("ESRCH"),
      });
    case "wait-child":
      return lowerWaitChild(list, op);
    case "exit":
      return list.add("exit_group", [0]);
    case "chdir":
      return list.add("chdir", [at(textDatum(op.path))]);
    case "change-root":
      list.add("chroot", [at(textDatum(op.path))]);
      return list.add("chdir", [at(textDatum("/"))]);
    case "hold-file": {
      const { writeOnly, closeOnExec } = linux.openFlag;
      const path = at(textDatum(op.path));
      const fd = list.open("openat", [linux.atFlag.cwd, path, writeOnly | closeOnExec]);
      return list.hold(op.as, fd);
    }
    case "empty-file":
      return list.add("ftruncate", [list.held(op.held), 0]);
    case "umask":
      return list.add("umask", [op.mask]);
    case "mkdir":
      return list.add("mkdirat", [linux.atFlag.cwd, at(textDatum(op.path)), op.mode]);
    case "make-mount-point":
      return lowerMountPoint(list, op);
    case "write-file":
      return lowerWriteFile(list, op);
    case "symlink": {
      const [target, path] = [at(textDatum(op.target)), at(textDatum(op.path))];
      return list.add("symlinkat", [target, linux.atFlag.cwd, path]);
    }
    case "sethostname": {
      const name = Buffer.from(op.hostname);
      return list.add("sethostname", [at(bytesDatum(name)), name.length]);
    }
    case "loopback-up":
      return lowerLoopback(list);
    case "limit-resource": {
      const limits = bytesDatum(
        Buffer.from(BigInt64Array.of(BigInt(op.soft), BigInt(op.hard)).buffer),
      );
      return list.add("prlimit64", [0, op.resource, at(limits), 0]);
    }
    case "seccomp":
      return lowerSeccomp(list, op);
    case "bound-capabilities":
      return lowerBoundCapabilities(list, op);
    case "set-user":
      list.add("setgroups", [op.groups.length, at(wordsDatum(op.groups))]);
      list.add("setresgid", [op.gid, op.gid, op.gid]);
      return list.add("setresuid", [op.uid, op.uid, op.uid]);
    case "set-capabilities":
      return lowerSetCapabilities(list, op);
    case "exec":
      return lowerExec(list, op);
    case "make-mounts-private":
    case "open-tree":
    case "open-overlay":
    case "attach":
    case "mount":
    case "make-read-only":
    case "unmount":
    case "pivot-root":
      return lowerMountOp(list, op);
    default:
      return unreachable(op);
  }
}

/** Every directory is opened before something is made in it: a path of its own could be led astray by magic links. */
function lowerMountPoint(list: CallList, op: OpOf<"make-mount-point">): void {
  const names = op.path
    .slice(op.root.length)
    .split("/")
    .filter((name) => name !== "");
  const exists = { onError: tolerate("EEXIST") };
  let directory = op.root;
  for (const [index, name] of names.entries()) {
    const fd = openDirectory(list, directory);
    const isFile = op.isFile && index === names.length - 1;
    if (isFile) {
      list.add("mknodat", [fd, at(textDatum(name)), linux.fileType.regular | 0o644, 0], exists);
    } else list.add("mkdirat", [fd, at(textDatum(name)), 0o755], exists);
    directory = `${directory === "/" ? "" : directory}/${name}`;
  }
}

function openDirectory(list: CallList, path: string): number {
  const { path: pathOnly, closeOnExec } = linux.openFlag;
  // struct open_how: flags, mode, resolve.
  const how = longsDatum([pathOnly | closeOnExec, 0, linux.resolveFlag.noMagicLinks]);
  return list.open("openat2", [linux.atFlag.cwd, at(textDatum(path)), at(how), 24]);
}

/** The mode comes last: a change of the owner would take bits from it, and the umask others. */
function lowerWriteFile(list: CallList, op: OpOf<"write-file">): void {
  const { writeOnly, create, exclusive, closeOnExec } = linux.openFlag;
  const how = longsDatum([
    writeOnly | create | exclusive | closeOnExec,
    0o600,
    linux.resolveFlag.noMagicLinks,
  ]);
  const fd = list.open("openat2", [linux.atFlag.cwd, at(textDatum(op.path)), at(how), 24]);
  if (op.content.length > 0) {
    list.add("write", [fd, at(bytesDatum(op.content)), op.content.length]);
  }
  list.add("fchown", [fd, op.uid, op.gid]);
  list.add("fchmod", [fd, op.mode]);
}

function tolerate(...names: readonly (keyof typeof linux.errno)[]): OnError {
  return { type: "tolerate", errnos: names.map((name) => linux.errno[name]) };
}

/** Kernels without keyrings, or a used-up quota of keys, leave the old one: seccomp keeps the command from it anyway. */
function lowerKeyring(list: CallList): void {
  list.add("keyctl", [linux.keyctlJoinSession, 0], {
    onError: tolerate("ENOSYS", "EPERM", "EACCES", "EDQUOT"),
  });
}

function lowerPipe(list: CallList, op: OpOf<"pipe">): void {
  list.add("pipe2", [at(scratchDatum(8)), linux.openFlag.closeOnExec]);
  list.hold(`${op.name} read`, list.claim());
  list.hold(`${op.name} write`, list.claim());
}

const namespaceFlags: Readonly<Record<Namespace, number>> = {
  pid: linux.cloneFlag.newPid,
  mount: linux.cloneFlag.newMount,
  uts: linux.cloneFlag.newUts,
  ipc: linux.cloneFlag.newIpc,
  net: linux.cloneFlag.newNet,
  cgroup: linux.cloneFlag.newCgroup,
};

/** The stack pointer stays: without CLONE_VM the child has its own copy of everything. */
function lowerFork(list: CallList, op: OpOf<"fork">): void {
  const child = list.forChild();
  for (const childOp of op.child) lowerOp(child, childOp);
  const namespaces = op.namespaces.reduce((flags, name) => flags + namespaceFlags[name], 0);
  const pidfd = op.pidfd === undefined ? 0 : linux.cloneFlag.pidfd;
  const flags = linux.signal.child + namespaces + pidfd;
  const pidfdPlace = op.pidfd === undefined ? 0 : at(scratchDatum(4));
  list.add("clone", [flags, 0, pidfdPlace, 0, 0], { child: child.calls });
  if (op.pidfd !== undefined) list.hold(op.pidfd, list.claim());
}

/** Of the report socket only its end is asked for: the parent's word for the child is not ours. */
function lowerAwaitHangup(list: CallList, op: OpOf<"await-hangup">): void {
  const polled = wordsDatum([reportFd, linux.pollReadHangup, list.held(op.pidfd), linux.pollIn]);
  list.add("ppoll", [at(polled), 2, 0, 0, 0]);
}

/** Bytes of the kernel's list of children that are read at a time; those that do not fit come in the next round. */
const childListSize = 4096;

function lowerAdoptOrphans(list: CallList): void {
  list.add("prctl", [linux.prctl.setChildSubreaper, 1]);
  const path = at(textDatum("/proc/thread-self/children"));
  list.hold("children", list.open("openat", [linux.atFlag.cwd, path, linux.openFlag.closeOnExec]));
}

/**
 * A child's number cannot become another's before it was waited for, which happens here alone. A number at the very end
 * of the buffer may be cut off: without a space behind it, nobody is killed for it.
 */
function lowerEndChildren(list: CallList): void {
  const buffer = at(scratchDatum(childListSize));
  const before = list.repeated((round) => {
    round.add("pread64", [list.held("children"), buffer, childListSize, 0]);
  });
  list.add("wait4", [-1, 0, linux.waitAllChildren, 0], {
    onError: tolerate("ECHILD"),
    loop: { before, list: buffer },
  });
}

/** struct siginfo of a child that ended: `si_code` is its third word, `si_status` the seventh. */
const siginfo = { size: 128, code: 8, status: 24 } as const;

/** Waited for by its descriptor: an orphan that ends first is not taken for it. The report is told in three pieces. */
function lowerConclude(list: CallList, op: OpOf<"conclude">): void {
  const noted = scratchDatum(siginfo.size);
  const { waitByPidfd, waitForExit } = linux;
  list.add("waitid", [waitByPidfd, list.held(op.pidfd), at(noted), waitForExit, 0]);
  lowerEndChildren(list);
  const tag = at(wordsDatum([reportTag.endedBy]));
  for (const word of [tag, at(noted, siginfo.code), at(noted, siginfo.status)]) {
    list.add("write", [reportFd, word, 4]);
  }
}

function lowerWaitChild(list: CallList, op: OpOf<"wait-child">): void {
  const record = reportDatum(reportTag.ended);
  list.add("wait4", [op.pid ?? -1, at(record, 8), linux.waitAllChildren, 0]);
  if (op.report) list.add("write", [reportFd, at(record), reportSize]);
}

/** A new network namespace has its loopback interface down. */
function lowerLoopback(list: CallList): void {
  const request = Buffer.alloc(40); // struct ifreq
  request.write("lo");
  request.writeUInt16LE(linux.interfaceUp, 16);
  const { inet, datagram, closeOnExec } = linux.socket;
  const fd = list.open("socket", [inet, datagram | closeOnExec, 0]);
  list.add("ioctl", [fd, linux.setInterfaceFlags, at(bytesDatum(request))]);
}

function lowerSeccomp(list: CallList, op: OpOf<"seccomp">): void {
  // struct sock_fprog: number of instructions, six bytes of padding, their address.
  const header = new Uint8Array(Uint16Array.from([op.filter.length / 8, 0, 0, 0]).buffer);
  const program = { parts: [header, bytesDatum(op.filter)] };
  list.add("seccomp", [linux.seccompSetModeFilter, linux.seccompSpecAllow, at(program)]);
}

function lowerBoundCapabilities(list: CallList, op: OpOf<"bound-capabilities">): void {
  list.add("prctl", [linux.prctl.ambient, linux.ambientClearAll, 0, 0, 0]);
  // Whoever started us may have changed what root's execve means; locked bits stay (EPERM).
  list.add("prctl", [linux.prctl.setSecurebits, 0], { onError: tolerate("EPERM") });
  for (let capability = 0; capability <= op.last; capability += 1) {
    if ((op.keep & (1n << BigInt(capability))) !== 0n) continue;
    list.add("prctl", [linux.prctl.dropBoundingCapability, capability]);
  }
}

function lowerSetCapabilities(list: CallList, op: OpOf<"set-capabilities">): void {
  const low = Number(op.effective & 0xffffffffn);
  const high = Number(op.effective >> 32n);
  const header = wordsDatum([linux.capabilityVersion3, 0]);
  // Two times: effective, permitted, inheritable.
  list.add("capset", [at(header), at(wordsDatum([low, low, 0, high, high, 0]))]);
}

/** As execvp: a missing or forbidden candidate does not end the search; the last one's errno does. */
function lowerExec(list: CallList, op: OpOf<"exec">): void {
  const argv = at(textListDatum(op.argv));
  const env = at(textListDatum(op.env));
  const { ENOENT, ENOTDIR, EACCES } = linux.errno;
  for (const [i, path] of op.paths.entries()) {
    const isLast = i === op.paths.length - 1;
    list.add("execve", [at(textDatum(path)), argv, env], {
      onError: isLast ? { type: "fail" } : { type: "note", errnos: [ENOENT, ENOTDIR, EACCES] },
    });
  }
}
