"""Frames: what a compressed file is cut into."""

from hypothesis import given
from hypothesis import strategies as st

from whence.archive import frames


@given(
    st.lists(st.binary(max_size=30).map(lambda data: data.replace(b"\0", b"\n")), max_size=12),
    st.integers(1, 12),
    st.integers(0, 20),
)
def test_pieces_are_all_bytes_in_order_and_each_is_whole_lines_where_they_fit(
    chunks: list[bytes], limit: int, more: int
) -> None:
    """However they come in: cut behind a line as late as the limit allows, else behind the first, and at `most` at the latest."""
    most = limit + more
    pieces = list(frames.cut(chunks, limit, most))
    assert b"".join(pieces) == b"".join(chunks)
    for piece in pieces[:-1]:
        assert 0 < len(piece) <= most
        assert piece.endswith(b"\n") or len(piece) == most
        if len(piece) > limit:
            assert b"\n" not in piece[:limit]
    assert all(pieces)
