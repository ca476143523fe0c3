import { openSandbox } from "../../src/sandbox/index.ts";
import { sandboxContract } from "../contract/sandbox-contract.ts";

const noProc = "a chroot has no /proc, where the test looks";
const noMounts = "without mounts a step gets copies";
const noView = "without mounts what is outside does not show while the step runs";
const sharedHost = "without namespaces processes, host name and network are those outside";

sandboxContract("chroot", (places) => openSandbox("chroot", places), {
  kill: {
    isolation: "chroot",
    rounds: Number(process.env["TSBUILD_KILL_ROUNDS"] ?? 40),
    withinMs: 300,
  },
  lacks: [
    ["root holds Docker's capabilities", noProc],
    ["another user holds none", noProc],
    ["refuses: sysrq", "in the empty /proc of a chroot this is a file like any other"],
    ["a block device that a step makes", "only a mount can be nodev"],
    ["insecure lifts capabilities", noProc],
    ["the command is PID 1", sharedHost],
    ["namespaces are its own", sharedHost],
    ["only the three standard streams", noProc],
    ["host name and working directory", sharedHost],
    ["a working directory behind a symlink", noProc],
    ["network none", noProc],
    ["the standard mounts", noMounts],
    ["/dev/shm and /dev/pts", "devpts and tmpfs are mounts"],
    ["a read-only root", noMounts],
    ["an overlay", "layers are put together by a mount"],
    ["output comes while", noView],
    ["standard input is empty", noProc],
    ["a bind mount shows and takes changes", "what is mounted to be written to is refused"],
    ["a read-only bind mount takes none", "a step may change its own copy"],
    ["nested ones lie on each other", "what is mounted to be written to is refused"],
    ["device nodes in a bind mount", "only a mount can be nodev"],
    ["tmpfs: size, mode, read-only", "only a mount has a size"],
    ["a part of layers, merged", "layers are put together by a mount"],
    ["a secret: its bytes", "without a mount root may write to the file"],
    ["two steps at a time", "layers are put together by a mount"],
    ["the command does not have what is kept open", noProc],
  ],
});
