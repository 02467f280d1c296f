"""Where a load keeps its journal, its rejects and its report: one private directory."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import secrets
import socket
import time
from pathlib import Path

from headrace.config import Endpoint
from headrace.errors import ConfigError, JournalError, explain

__all__ = [
    "LOCK",
    "StateLock",
    "fresh_name",
    "is_on_network",
    "open_state_dir",
    "state_home",
    "target_name",
    "write_private",
]

#: The name of the file that is locked.
LOCK = "journal.lock"
#: Characters of a collection's name in that of its directory; file systems end at 255 bytes.
_NAME_LENGTH = 80
#: File systems that other machines may be writing to at the same time.
_NETWORK = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "gpfs", "lustre", "nfs", "nfs4", "smb3", "smbfs"}
    | {f"fuse.{name}" for name in ("ceph", "glusterfs", "s3fs", "sshfs")}
)
#: Seconds before each further attempt to take a lock.
_PAUSES = (0.01, 0.05)
#: How often a directory, or its lock, is made again that another loader removed just then, because it ended.
_TRIES = 100
_MOUNTS = Path("/proc/self/mounts")


def state_home() -> Path:
    """``$XDG_STATE_HOME/headrace``, by default ``~/.local/state/headrace``."""
    base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return base / "headrace"


def target_name(endpoint: Endpoint, collection: str, partition: str, *part: str) -> str:
    """The name of the directory that every load into this target shares; ``part`` says of what, where it is one."""
    key = json.dumps([endpoint.place, endpoint.db_name, collection, partition, *part])
    return f"{collection[:_NAME_LENGTH]}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def fresh_name(collection: str) -> str:
    """The name of a directory that no other load has."""
    return f"{collection[:_NAME_LENGTH]}-{time.strftime('%Y%m%dT%H%M%S')}-{secrets.token_hex(3)}"


def open_state_dir(wanted: Path | None, name: str) -> Path:
    """Create the directory, readable by its owner only, and return it.

    Another loader that has nothing to keep there may remove it before it is locked: :class:`StateLock` makes it again.

    Args:
        wanted: The directory; None for one under :func:`state_home`.
        name: The name that it has there.

    Raises:
        ConfigError: If it cannot be created or written to.
    """
    directory = state_home() / name if wanted is None else wanted
    remedy = "give a writable directory with --state-dir"
    for _ in range(_TRIES):
        try:
            _make(directory, parents=True)
        except OSError as error:
            found = error.strerror or str(error)
            raise ConfigError(explain("state directory", f"{directory} to be a directory", found, remedy)) from error
        if os.access(directory, os.W_OK | os.X_OK):
            return directory
    raise ConfigError(explain("state directory", f"{directory} to be writable", "no permission", remedy))


def _make(directory: Path, *, parents: bool) -> None:
    """Make the directory, readable by its owner only, where there is none; others may be removing it.

    Raises:
        OSError: If it cannot be made.
    """
    for _ in range(_TRIES):
        # Said of a file, and of a directory that was there a moment ago.
        with contextlib.suppress(FileExistsError):
            return directory.mkdir(mode=0o700, parents=parents, exist_ok=True)
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(directory))


def write_private(path: Path, text: str) -> None:
    """Replace ``path`` with ``text`` in one step, readable by its owner only."""
    new = path.with_name(path.name + ".new")
    descriptor = os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)


def is_on_network(directory: Path, mounts: Path = _MOUNTS) -> bool:
    """Whether ``directory`` lies on a file system that other machines share; False where that cannot be told.

    Args:
        directory: A directory, which need not be there yet.
        mounts: The kernel's table of mounts (Linux).
    """
    try:
        table = [line.split() for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        return False
    where, kind, depth = directory.resolve(), "", -1
    for _, point, found, *_ in table:
        # Blanks in a path are written as \040.
        path = Path(point.replace("\\040", " "))
        # Of two mounts on one point the later one is seen.
        if len(path.parts) >= depth and where.is_relative_to(path):
            kind, depth = found, len(path.parts)
    return kind in _NETWORK


class StateLock:
    """A directory that belongs to this loader alone, until :meth:`release` or the end of the process.

    Args:
        directory: The directory; made where there is none, as it is where another loader just removed it.

    Raises:
        JournalError: If another loader has it (the message names its process and host), or there can be no lock.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._owner = os.getpid()
        self._descriptor = -1
        path = directory / LOCK
        try:
            self._open(path)
            #: Up to when what loaders sent that had it before may still be applied, in seconds since the epoch.
            self.may_land_until = os.fstat(self._descriptor).st_mtime
            self._sign()
        except OSError as error:
            self.release()
            found, remedy = error.strerror or str(error), "allow it, or give another --state-dir"
            message = explain(str(path), "a lock that can be written", found, remedy)
            raise JournalError(message, path=str(path)) from error
        except BaseException:
            self.release()
            raise

    def _open(self, path: Path) -> None:
        for _ in range(_TRIES):
            _make(path.parent, parents=False)
            with contextlib.suppress(FileNotFoundError):
                self._descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
                self._take(path)
                if _is_same(path, self._descriptor):
                    return
                # Whoever removed it had it until now: nobody else would look at this file.
                self.release()
        message = explain(str(path.parent), "a directory that stays", "one that was just removed", "run this again")
        raise JournalError(message, path=str(path.parent))

    def _take(self, path: Path) -> None:
        try:
            self._flock()
        except BlockingIOError:
            holder = os.read(self._descriptor, 400).decode(errors="replace").strip() or "another process"
            remedy = "wait until it ends or end it; loads side by side need a --state-dir each"
            raise JournalError(
                explain(str(path.parent), "no other loader at work there", holder, remedy), path=str(path.parent)
            ) from None
        except OSError as error:
            found = f"{error.strerror} from flock"
            remedy = "give a --state-dir on a file system with locks"
            raise JournalError(explain(str(path), "a lock", found, remedy), path=str(path)) from error

    def _flock(self) -> None:
        # Who only looks (holder) has the lock for a moment too.
        for pause in _PAUSES:
            with contextlib.suppress(BlockingIOError):
                return fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            time.sleep(pause)
        return fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _sign(self) -> None:
        os.ftruncate(self._descriptor, 0)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        os.pwrite(self._descriptor, f"process {os.getpid()} on {socket.gethostname()} since {since}\n".encode(), 0)
        self.beat(0.0)

    def beat(self, reach: float) -> None:
        """Say that what this loader sends now may be applied for ``reach`` seconds."""
        until = max(self.may_land_until, time.time() + reach)
        os.utime(self._descriptor, (until, until))

    @property
    def at_rest(self) -> bool:
        """Whether nothing that was sent by whoever had it, this loader included, may still be applied."""
        return os.fstat(self._descriptor).st_mtime <= time.time()

    @property
    def owned(self) -> bool:
        """Whether this process took it: one that was forked meanwhile did not."""
        return self._descriptor >= 0 and os.getpid() == self._owner

    def clear(self, *patterns: str) -> None:
        """Remove the files of these names from the directory, and the lock's own after them; what else is there stays.

        Whoever waits for the lock makes a new one. So must this loader: nothing protects what it does there now.

        Raises:
            OSError: If one of them cannot be removed; those after it stay, and the lock is as it was.
        """
        for path in [path for pattern in patterns for path in self._directory.glob(pattern) if path.name != LOCK]:
            path.unlink(missing_ok=True)
        (self._directory / LOCK).unlink(missing_ok=True)

    def release(self) -> None:
        """Let others have the directory; twice does no harm."""
        owned = self.owned
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor < 0:
            return
        # Closing alone would leave it to processes that were forked meanwhile; these must not give it away.
        if owned:
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)

    @staticmethod
    def holder(directory: Path) -> str | None:
        """Who has the directory, in words; None where nobody has."""
        with contextlib.suppress(OSError):
            descriptor = os.open(directory / LOCK, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return os.read(descriptor, 400).decode(errors="replace").strip() or "another process"
            finally:
                os.close(descriptor)
        return None


def _is_same(path: Path, descriptor: int) -> bool:
    """Whether the file of this path is the open one."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
