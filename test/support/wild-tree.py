"""Makes changes in a tree by plain system calls, and tells what a tree holds: knows nothing of tsbuild.

    wild-tree.py change ROOT   reads a JSON list of operations from standard input
    wild-tree.py dump ROOT     prints JSON: path -> what is there

Paths and link targets are bytes, written as Latin-1 strings. An operation that the kernel refuses is left out.
"""

import hashlib
import json
import os
import shutil
import stat
import sys

IGNORED = ("trusted.overlay.", "user.overlay.", "security.selinux", "user.rootlesscontainers", "user.containers.")


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def write(path, content, size):
    with open(path, "wb") as file:
        file.write(content)
        file.truncate(size)


def change(root, operation):
    kind, name = operation["do"], os.path.join(root, operation["path"].encode("latin1"))
    to = operation.get("to", "").encode("latin1")
    if kind == "file":
        write(name, bytes.fromhex(operation["content"]), operation["size"])
    elif kind == "directory":
        os.makedirs(name)
    elif kind == "symlink":
        os.symlink(to, name)
    elif kind == "hardlink":
        os.link(os.path.join(root, to), name, follow_symlinks=False)
    elif kind == "rename":
        os.rename(name, os.path.join(root, to))
    elif kind == "remove":
        remove(name)
    elif kind == "fifo":
        os.mkfifo(name)
    elif kind == "device":
        block = stat.S_IFBLK if operation["block"] else stat.S_IFCHR
        os.mknod(name, block | 0o600, os.makedev(operation["major"], operation["minor"]))
    elif kind == "mode":
        os.chmod(name, operation["mode"])
    elif kind == "owner":
        os.chown(name, operation["uid"], operation["gid"], follow_symlinks=False)
    elif kind == "time":
        ns = int(operation["ns"])
        os.utime(name, ns=(ns, ns), follow_symlinks=False)
    elif kind == "xattr":
        os.setxattr(name, operation["name"], bytes.fromhex(operation["value"]), follow_symlinks=False)
    else:
        raise ValueError(kind)


def content_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()[:16]


def xattrs_of(path):
    found = []
    for name in sorted(os.listxattr(path, follow_symlinks=False)):
        if not name.startswith(IGNORED):
            found.append(name + "=" + os.getxattr(path, name, follow_symlinks=False).hex())
    return " ".join(found)


def describe(path, looks):
    kind = stat.S_IFMT(looks.st_mode)
    what = ""
    if stat.S_ISREG(kind):
        what = str(looks.st_size) + " " + content_of(path)
    elif stat.S_ISLNK(kind):
        what = os.readlink(path).decode("latin1")
    elif stat.S_ISCHR(kind) or stat.S_ISBLK(kind):
        what = str(os.major(looks.st_rdev)) + ":" + str(os.minor(looks.st_rdev))
    fields = [oct(looks.st_mode), f"{looks.st_uid}:{looks.st_gid}", str(looks.st_mtime_ns), what, xattrs_of(path)]
    return " ".join(fields)


def dump(root):
    found, first_names = {}, {}
    pending = [b""]
    while pending:
        path = pending.pop()
        absolute = os.path.join(root, path) if path else root
        looks = os.lstat(absolute)
        name = path.decode("latin1")
        if stat.S_ISDIR(looks.st_mode):
            found[name] = describe(absolute, looks)
            below = [os.path.join(path, child) for child in os.listdir(absolute)]
            pending.extend(sorted(below, reverse=True))
            continue
        first = first_names.setdefault((looks.st_dev, looks.st_ino), name)
        found[name] = describe(absolute, looks) if first == name else "another name of " + first
    return found


def main():
    verb, root = sys.argv[1], os.fsencode(sys.argv[2])
    if verb == "dump":
        print(json.dumps(dump(root)))
        return
    for operation in json.load(sys.stdin):
        try:
            change(root, operation)
        except OSError:
            pass


main()
