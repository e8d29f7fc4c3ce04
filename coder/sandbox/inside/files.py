"""Files below one folder, reached through folder descriptors so that no link, raced or not, leads out of it."""

from __future__ import annotations

import ctypes
import errno
import os
import stat

OPENAT2 = 437
"""The system call's number, the same on every architecture."""
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_BENEATH = 0x08
MAX_LINKS = 40


class _How(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


def reopen(folder: str) -> None:
    """Take back the rights to a folder of ours, which a command may have given away: nothing would go on without them."""
    try:
        mode = os.lstat(folder).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return  # it is made anew when it is needed
    if stat.S_ISDIR(mode) and mode & stat.S_IRWXU != stat.S_IRWXU:
        os.chmod(folder, stat.S_IMODE(mode) | stat.S_IRWXU)


class Tree:
    """The folder `root`. Every method opens it anew, so a folder that was replaced is noticed and not followed."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._openat2 = self._has_openat2()

    def _checked(self, path: str) -> str:
        """`path` relative to the root, if it can be that at all. Programs print absolute paths, so those are understood."""
        inner = path[len(self.root) :].lstrip("/") if path.startswith(self.root + "/") else path
        if not inner or "\0" in inner:
            raise ValueError(f"{path!r} is not a path")
        if inner.startswith("/"):
            raise ValueError(f"{path!r} is outside the workspace")
        return inner

    def _has_openat2(self) -> bool:
        try:
            os.close(self._open_kernel(".", os.O_RDONLY | os.O_DIRECTORY, 0))
        except OSError as exc:
            return exc.errno not in (errno.ENOSYS, errno.EPERM)
        return True

    def open(self, path: str, flags: int, mode: int = 0) -> int:
        """A descriptor of `path`; what leads outside the root is a ValueError."""
        name = self._checked(path)
        try:
            if self._openat2:
                return self._open_kernel(name, flags, mode)
            return self._open_walking(name, flags, mode)
        except OSError as exc:
            if exc.errno == errno.EXDEV:
                raise ValueError(f"{path!r} leads outside the workspace") from None
            if exc.errno == errno.ENXIO:
                raise ValueError(f"{path!r} is not a regular file") from None
            raise

    def _open_kernel(self, name: str, flags: int, mode: int) -> int:
        how = _How(flags | os.O_CLOEXEC | os.O_NOCTTY, mode, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
        root = os.open(self.root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            raw = name.encode("utf-8", "surrogateescape")
            while True:
                fd = int(self._libc.syscall(OPENAT2, root, raw, ctypes.byref(how), ctypes.sizeof(how)))
                # EAGAIN: a rename raced with the lookup; the kernel asks to try again.
                if fd >= 0 or ctypes.get_errno() != errno.EAGAIN:
                    break
        finally:
            os.close(root)
        if fd < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), name)
        return fd

    def _open_walking(self, name: str, flags: int, mode: int) -> int:
        """The same without the system call: one component at a time, links read and expanded here."""
        parts = [part for part in name.split("/") if part not in ("", ".")]
        folders = [os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)]
        links = 0
        try:
            while parts:
                part = parts.pop(0)
                if part == "..":
                    _leave(folders, name)
                    continue
                target = _link(part, folders[-1])
                if target is not None:
                    links += 1
                    if links > MAX_LINKS:
                        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
                    if target.startswith("/"):
                        raise OSError(errno.EXDEV, "absolute link", name)
                    parts = [piece for piece in target.split("/") if piece not in ("", ".")] + parts
                elif parts:
                    folder = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                    folders.append(os.open(part, folder, dir_fd=folders[-1]))
                else:
                    safe = flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY
                    return os.open(part, safe, mode, dir_fd=folders[-1])
            return os.dup(folders[-1])
        finally:
            for folder in folders:
                os.close(folder)

    def read(self, path: str, max_bytes: int) -> bytes:
        """A regular file's bytes."""
        fd = self.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            size = _regular(fd, path).st_size
            if size > max_bytes:
                raise ValueError(f"{path!r} has {size} bytes, more than {max_bytes}")
            chunks = []
            left = max_bytes + 1
            while left > 0:
                chunk = os.read(fd, min(left, 1 << 20))
                if not chunk:
                    break
                chunks.append(chunk)
                left -= len(chunk)
        finally:
            os.close(fd)
        if left <= 0:
            raise ValueError(f"{path!r} has more than {max_bytes} bytes")
        return b"".join(chunks)

    def write(self, path: str, data: bytes) -> None:
        """Create or replace a file; its folders are made, its mode is kept, and a full disk leaves it as it was."""
        name = self._checked(path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK
        try:
            fd = self.open(name, flags, 0o644)
        except FileNotFoundError:
            self._make_parents(name)
            fd = self.open(name, flags, 0o644)
        try:
            before = _regular(fd, path).st_size
            if data:
                try:
                    os.posix_fallocate(fd, 0, len(data))
                except OSError as exc:
                    os.ftruncate(fd, before)
                    if exc.errno != errno.EOPNOTSUPP:
                        raise
            view = memoryview(data)
            offset = 0
            while offset < len(data):
                offset += os.pwrite(fd, view[offset : offset + (1 << 20)], offset)
            os.ftruncate(fd, len(data))
        finally:
            os.close(fd)

    def _make_parents(self, name: str) -> None:
        parts = [part for part in name.split("/") if part not in ("", ".")][:-1]
        for depth, part in enumerate(parts):
            if part == "..":
                raise ValueError(f"{name!r}: folders are not made through '..'")
            parent = self.open("/".join(parts[:depth]) or ".", os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.mkdir(part, 0o755, dir_fd=parent)
            except FileExistsError:
                pass
            finally:
                os.close(parent)


def _regular(fd: int, path: str) -> os.stat_result:
    found = os.fstat(fd)
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{path!r} is not a regular file")
    return found


def _leave(folders: list[int], name: str) -> None:
    if len(folders) == 1:
        raise OSError(errno.EXDEV, "above the root", name)
    os.close(folders.pop())


def _link(part: str, folder: int) -> str | None:
    try:
        return os.readlink(part, dir_fd=folder)
    except OSError as exc:
        if exc.errno in (errno.EINVAL, errno.ENOENT):
            return None
        raise
