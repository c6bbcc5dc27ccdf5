from collections.abc import Callable, Sequence
from typing import Any

from whence.otlp.schema import Signal

EDITION: int

_Lines = tuple[list[tuple[bytes, int, int, int]], list[tuple[str, int]]]
_Made = tuple[dict[str, tuple[bytes | None, ...]], int, int, list[tuple[int, int]]]

class Refused(Exception): ...

class Codec:
    def __new__(cls, schema: str) -> Codec: ...
    def lines_of_protobuf(
        self, signal: Signal, data: bytes, line_bytes: int, records_per_line: int, depth: int
    ) -> _Lines: ...
    def text_of_protobuf(self, signal: Signal, data: bytes) -> bytes: ...
    def count_of_protobuf(self, signal: Signal, data: bytes) -> int: ...
    def lines_of_json(
        self, signal: Signal, data: bytes, line_bytes: int, records_per_line: int, depth: int
    ) -> _Lines: ...
    def text_of_json(self, signal: Signal, data: bytes) -> bytes: ...
    def protobuf_of_json(self, signal: Signal, data: bytes) -> bytes: ...
    def protobuf_of_lines(self, signal: Signal, lines: list[bytes]) -> bytes: ...
    def count_of_json(self, signal: Signal, data: bytes) -> int: ...

class Encoder:
    def __new__(
        cls,
        frame: str,
        *,
        text: Callable[[Any, int], tuple[bytes, int]],
        resource: Callable[[Any], tuple[bytes, bytes]],
        scope: Callable[[Any], tuple[bytes, bytes]],
        attributes: type,
        flags: type,
        state: type,
        proxy: type,
        choice: type,
        projection: str,
    ) -> Encoder: ...
    def lines(
        self, items: Sequence[Any], line_bytes: int, records_per_line: int, depth: int
    ) -> tuple[list[tuple[bytes, int, int, int]], int, tuple[Any, BaseException] | None]: ...

class Columns:
    def __new__(cls, names: str) -> Columns: ...
    def of_lines(self, stem: str, offsets: list[int], lines: list[bytes], enough: int) -> _Made: ...
    def of_request(
        self,
        codec: Codec,
        signal: Signal,
        data: bytes,
        is_json: bool,
        limits: tuple[int, int, int],
        stem: str,
        offset: int,
    ) -> tuple[_Lines, _Made]: ...
    @staticmethod
    def words(texts: list[tuple[bytes, bytes]]) -> tuple[bytes, bytes]: ...
    @staticmethod
    def keys(column: str, ends: bytes, data: bytes) -> bytes: ...

class Sieve:
    def __new__(cls, mark: tuple[Any, ...], projection: bytes, letters: list[bytes]) -> Sieve: ...
    def kept(self, lines: list[bytes]) -> list[bool]: ...
    def left(self, line: bytes) -> bytes | None: ...
