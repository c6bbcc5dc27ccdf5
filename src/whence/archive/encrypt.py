"""Sealed segments encrypted to public keys (age v1), and opened again with an identity.

The law: contents before names, new before old, as in `seal.py`. The key that writes cannot read; a changed bit is found without
the identity too, by the SHA-256 in `<stem>.age-note`. `age -d | zstd -d` opens a segment without whence.
Source: age-encryption.org/v1 (c2sp.org/age).
"""

import hashlib
import os
import tempfile
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Final

from whence.archive import names
from whence.archive.digested import digest_of, parsed, text_of
from whence.archive.folder import names_in, read_whole, sync_file, write_whole
from whence.archive.seal import Seal, lock, matches, read_plain, read_seal
from whence.archive.source import open_file
from whence.errors import ConfigError, DataError

VARIABLE: Final = "WHENCE_IDENTITY"
"""Names the file with the identities (`AGE-SECRET-KEY-1...`, one a line) to read encrypted segments with."""
VERSION: Final = 1
_HEADER: Final = b"age-encryption.org/v1\n"
_KEPT: Final = 2
"""Decrypted segments kept in memory, because answers open the same one again and again."""
_INSTALL: Final = "the package pyrage is not installed; pip install 'whence[encrypt]'"


class LockedError(OSError):
    """An encrypted segment that cannot be read here: no identity, or not the right one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What is known of an encrypted segment without its identity, beside it as `<stem>.age-note`."""

    segment: str
    seal: str
    """The digest of its seal."""
    recipients: tuple[str, ...]
    bytes: int
    """Of the encrypted file; so is `sha256`, in hex."""
    sha256: str
    holds: str
    """The longest-lived kind of event in it, for retention: a `holds.Holds`."""
    version: int = VERSION

    @property
    def digest(self) -> str:
        """SHA-256 over every field."""
        return digest_of(self)


def parse_envelope(data: bytes) -> Envelope:
    """The envelope in its file. Raises DataError where one bit is different."""
    return parsed(
        data,
        "a note on an encrypted segment",
        VERSION,
        lambda **fields: Envelope(**fields | {"recipients": tuple(fields["recipients"])}),
    )


# --- encrypting -------------------------------------------------------------------------------------------------------


def check_recipients(recipients: Sequence[str]) -> None:
    """Raises ConfigError for what is no public key (`age1...`), and where pyrage is not installed."""
    _parsed(recipients)


def _parsed(recipients: Sequence[str]) -> list[Any]:
    try:
        import pyrage
    except ImportError:
        raise ConfigError(f"cannot encrypt: {_INSTALL}") from None
    found = []
    for text in recipients:
        try:
            found.append(pyrage.x25519.Recipient.from_str(text.strip()))
        except pyrage.RecipientError:
            raise ConfigError(
                f"cannot encrypt to {text[:20]!r}: expected an age public key such as age1..., as age-keygen prints it"
            ) from None
    return found


class _Hashed:
    """A file whose bytes are hashed as they pass."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.sha = hashlib.sha256()
        self.bytes = 0

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._file.read(size)
        self._pass(data)
        return data

    def write(self, data: bytes) -> int:
        self._pass(data)
        self._file.write(data)
        return len(data)

    def flush(self) -> None:
        self._file.flush()

    def _pass(self, data: bytes) -> None:
        self.sha.update(data)
        self.bytes += len(data)


def encrypt_segment(folder: int, stem: str, recipients: Sequence[str], holds: str) -> bool:
    """Put `<stem>.jsonl.zst.age` in the place of the compressed file; False where there is none, or another process is at it.

    Its caches, which hold its events too, go with it. Raises ConfigError, OSError, and DataError where the compressed file is
    not what its seal says (it then stays).
    """
    check_recipients(recipients)
    try:
        fd = os.open(stem + names.COMPRESSED, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return False
    try:
        if not lock(fd):
            return False
        if not _is_finished(folder, stem):
            seal = read_seal(folder, stem)
            if seal is None or not matches(fd, seal):
                raise DataError(f"cannot encrypt {stem}: its compressed file is not what its seal says")
            _write_encrypted(folder, fd, seal, recipients, holds)
        _remove_readable(folder, stem)
        return True
    finally:
        os.close(fd)


def _write_encrypted(folder: int, fd: int, seal: Seal, recipients: Sequence[str], holds: str) -> None:
    import pyrage

    part = seal.segment + names.ENCRYPTING
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    copy = os.open(part, flags, names.FILE_MODE, dir_fd=folder)
    try:
        os.lseek(fd, 0, os.SEEK_SET)
        with open(fd, "rb", closefd=False) as plain, open(copy, "wb", closefd=False) as file:
            fed, made = _Hashed(plain), _Hashed(file)
            pyrage.encrypt_io(fed, made, _parsed(recipients))
        sync_file(copy)
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(copy, 0, 0, os.POSIX_FADV_DONTNEED)
        if fed.sha.hexdigest() != _sha256(fd) or made.sha.hexdigest() != _sha256(copy) or not _is_age(copy):
            raise DataError(f"cannot encrypt {seal.segment}: what was written is not what was to be written")
        envelope = Envelope(
            segment=seal.segment,
            seal=seal.digest,
            recipients=tuple(text.strip() for text in recipients),
            bytes=made.bytes,
            sha256=made.sha.hexdigest(),
            holds=holds,
        )
        write_whole(folder, seal.segment + names.ENVELOPE, [text_of(envelope)])
        os.rename(part, seal.segment + names.ENCRYPTED, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)
    finally:
        os.close(copy)
        with suppress(OSError):
            os.unlink(part, dir_fd=folder)


def _sha256(fd: int) -> str:
    sha = hashlib.sha256()
    for chunk in read_plain(fd, os.fstat(fd).st_size):
        sha.update(chunk)
    return sha.hexdigest()


def _is_age(fd: int) -> bool:
    return os.pread(fd, len(_HEADER), 0) == _HEADER


def _is_finished(folder: int, stem: str) -> bool:
    """Whether the encrypted file is there, as its envelope and its seal say."""
    try:
        seal = read_seal(folder, stem)
        envelope = parse_envelope(read_whole(folder, stem + names.ENVELOPE))
        fd = os.open(stem + names.ENCRYPTED, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except (FileNotFoundError, DataError):
        return False
    try:
        return seal is not None and envelope.seal == seal.digest and envelope.sha256 == _sha256(fd)
    finally:
        os.close(fd)


def _remove_readable(folder: int, stem: str) -> None:
    """Remove what can be read without the identity, once the encrypted file is durable. Raises OSError."""
    os.fsync(folder)
    for ending in (*names.SIDECAR, names.COMPRESSED):
        with suppress(FileNotFoundError):
            os.unlink(stem + ending, dir_fd=folder)
    os.fsync(folder)


def finish_encryptions(folder: int) -> Iterator[tuple[str, str]]:
    """After a crash: drop unfinished encrypted files, and compressed ones whose encrypted form is there; each one's name and
    what was done. Raises OSError."""
    for name in names_in(folder):
        ending = next((ending for ending in (names.ENCRYPTING, names.ENCRYPTED) if name.endswith(ending)), None)
        stem = name.removesuffix(ending or "")
        if ending is None or names.parse_stem(stem) is None:
            continue
        fd = -1
        with suppress(FileNotFoundError):
            fd = os.open(stem + names.COMPRESSED, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            if fd >= 0 and not lock(fd):
                continue  # being encrypted now
            if ending == names.ENCRYPTING:
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)
                    yield name, "an unfinished file"
            elif fd >= 0 and _is_finished(folder, stem):
                _remove_readable(folder, stem)
                yield stem + names.COMPRESSED, "its encrypted form is there"
        finally:
            if fd >= 0:
                os.close(fd)


# --- reading ----------------------------------------------------------------------------------------------------------

Key = tuple[int, int, int, int]
_opened: "OrderedDict[tuple[str, Key], int]" = OrderedDict()
_opening = Lock()
os.register_at_fork(before=_opening.acquire, after_in_parent=_opening.release, after_in_child=_opening.release)


def open_encrypted(path: Path) -> int:
    """A descriptor of the compressed bytes in an encrypted file, in memory. Raises LockedError, FileNotFoundError, OSError.

    Of a damaged file: the bytes before the damage.
    """
    fd = open_file(path)
    try:
        identity = os.environ.get(VARIABLE)
        if not identity:
            raise LockedError(0, f"name the identity file in {VARIABLE} or with --identity")
        info = os.fstat(fd)
        key = (identity, (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns))
        with _opening:
            if key not in _opened:
                _opened[key] = _decrypt(fd, _identities(Path(identity)))
                while len(_opened) > _KEPT:
                    os.close(_opened.popitem(last=False)[1])
            _opened.move_to_end(key)
            return os.dup(_opened[key])
    finally:
        os.close(fd)


def _identities(path: Path) -> list[Any]:
    try:
        import pyrage
    except ImportError:
        raise LockedError(0, _INSTALL) from None
    try:
        lines = path.expanduser().read_text(encoding="utf-8").splitlines()
        found = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        return [pyrage.x25519.Identity.from_str(line) for line in found]
    except (OSError, ValueError, pyrage.IdentityError) as fault:
        cause = fault.strerror if isinstance(fault, OSError) else "it holds no age identity (AGE-SECRET-KEY-1...)"
        raise LockedError(0, f"cannot read the identity file {path}: {cause}") from None


def _decrypt(fd: int, identities: list[Any]) -> int:
    import pyrage

    plain = os.memfd_create("whence") if hasattr(os, "memfd_create") else _unnamed()
    try:
        with open(fd, "rb", closefd=False) as packed, open(plain, "wb", closefd=False) as out:
            try:
                pyrage.decrypt_io(packed, out, identities)
            except (pyrage.DecryptError, OSError) as fault:
                if isinstance(fault, OSError) and fault.errno:
                    raise  # no memory for it; damage within the file comes without a number
                out.flush()
                if not os.fstat(plain).st_size:
                    raise LockedError(0, f"the identity does not open it, or it is damaged: {fault}") from None
    except BaseException:
        os.close(plain)
        raise
    return plain


def _unnamed() -> int:
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def read_envelope(path: Path) -> Envelope | None:
    """The envelope of the segment whose path without ending this is, or None. Raises DataError, OSError."""
    try:
        return parse_envelope(path.with_name(path.name + names.ENVELOPE).read_bytes())
    except FileNotFoundError:
        return None


def check_encrypted(fd: int, envelope: Envelope | None, seal: Seal) -> str | None:
    """What is wrong with an encrypted file, as far as can be told without the identity. Raises OSError."""
    if envelope is None:
        return "its note (.age-note) is missing: without the identity nothing shows whether it was changed"
    if envelope.segment != seal.segment or envelope.seal != seal.digest:
        return "its note is not of this segment and seal"
    return None if envelope.sha256 == _sha256(fd) else "the encrypted bytes are not those that were written"
