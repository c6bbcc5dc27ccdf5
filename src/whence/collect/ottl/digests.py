"""Converters that hash: of text its UTF-8, of bytes themselves, in hex."""

import hashlib
from collections.abc import Callable
from typing import Any, Final

from whence.collect.ottl.functions import converter
from whence.collect.records.plain import bytes_of

_FNV_START: Final = 0xCBF29CE484222325
_FNV_PRIME: Final = 0x100000001B3
_MASK: Final = (1 << 64) - 1


def _digest(name: str, algorithm: Callable[..., Any]) -> None:
    @converter(name)
    def digest(value: Any) -> str:
        return str(algorithm(bytes_of(value), usedforsecurity=False).hexdigest())


_digest("SHA1", hashlib.sha1)
_digest("SHA256", hashlib.sha256)
_digest("SHA512", hashlib.sha512)
_digest("MD5", hashlib.md5)


@converter("FNV")
def fnv(value: Any) -> int:
    """FNV-1a of 64 bits, as a signed whole number."""
    found = _FNV_START
    for byte in bytes_of(value):
        found = (found ^ byte) * _FNV_PRIME & _MASK
    return found - (1 << 64) if found >> 63 else found
