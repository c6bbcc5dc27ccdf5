"""The lists of terms never hide an event from a question, and hide nearly all others."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import build_filter as build
from build import an_archive, an_event
from build_examples import examples
from whence.event.model import Event
from whence.filter.match import matcher
from whence.filter.needs import need_of, pieces_of, words_in
from whence.filter.parse import parse
from whence.filter.printer import to_text
from whence.filter.tree import Filter
from whence.index.arrays import read_arrays, write_arrays
from whence.index.columns import Row, batch_of
from whence.index.engine import Engine
from whence.index.scan import Blocks
from whence.index.terms import Keys, Terms, TermsBuilder


def terms_of(blocks: list[list[Event]]) -> Terms:
    """The lists of blocks of these events."""
    builder = TermsBuilder()
    for events in blocks:
        builder.add(batch_of([Row(event, 0, 0) for event in events], "stem", lambda _: None))
    return Terms(builder.finish())


BLOCKS = st.lists(st.lists(build.events(), min_size=1, max_size=3), min_size=1, max_size=4)


@examples(25)
@given(BLOCKS, st.lists(build.filters(build.conditions()), min_size=1, max_size=8))
def test_a_block_in_which_a_filter_holds_is_never_left_out(blocks: list[list[Event]], trees: list[Filter]) -> None:
    """Whatever the values, the pattern and the nesting."""
    terms = terms_of(blocks)
    for tree in trees:
        mask, test = terms.blocks_for(need_of(tree), Keys()), matcher(tree)
        for number, events in enumerate(blocks):
            if any(test(event) for event in events):
                assert mask is None or mask[number], to_text(tree)


TEXT = st.text(st.sampled_from('aB9 -_."\\\n\t/éΣİßKÅ漢\u2028\U0001f600\x00'), max_size=12)


@examples(100)
@given(TEXT, TEXT, TEXT)
def test_a_text_within_another_has_its_words_within_the_others(before: str, inside: str, behind: str) -> None:
    """In any script; at the front and the end a word may be part of a longer one."""
    words = words_in((before + inside + behind).encode())
    for piece in pieces_of(inside, begins=not before, ends=not behind):
        found = [word for word in words if piece.text in word]
        if piece.begins:
            found = [word for word in found if word.startswith(piece.text)]
        if piece.ends:
            found = [word for word in found if word.endswith(piece.text)]
        assert found


@pytest.mark.parametrize(
    "question",
    [
        "id = 'E77'",
        "agent = 'a77'",
        "turn = 77",
        "payload.n = 77",
        "payload.word = 'w77x'",
        "attributes.\"a.b\" = 'v 77'",
        "payload.deep.er LIKE '%z77%'",
        "description CONTAINS 'r 77 '",
        "w77x",
        "'V 77'",
        "time >= 2026-01-01T00:00:00.000077Z AND time < 2026-01-01T00:00:00.000078Z",
        "turn IN (77)",
        "agent = 'a77' OR turn = 77",
        "type STARTSWITH 't.77'",
        "trace_id = '0000000000000000000000000000004d'",
        "payload.only77 > 3",
    ],
)
def test_what_stands_in_one_block_is_looked_for_in_that_only(question: str) -> None:
    """Of a hundred blocks one or two are left, by identifier, value, number, word, part of a word, key, and time."""
    blocks = [
        [
            Event(
                id=f"E{n}", type=f"t.{n}x", time=1_767_225_600_000_000_000 + n * 1_000, agent=f"a{n}", turn=n,
                description=f"number {n} here", trace_id=f"{n:032x}",
                payload={"n": n, "word": f"w{n}x", "deep": {"er": [f"yz{n}."], "less": 1}, f"only{n}": 5},
                attributes={"a.b": f"v {n}", "common": "same"},
            )
        ]
        for n in range(1, 101)
    ]  # fmt: skip
    mask = terms_of(blocks).blocks_for(need_of(parse(question, now=0)), Keys())
    assert mask is not None
    assert mask[76]
    assert mask.sum() <= 2


@pytest.mark.parametrize("question", ["", "NOT agent = 'a1'", "agent != 'a1'", "payload.n > 1 OR kind IS NULL", "x"])
def test_where_nothing_is_known_every_block_is_left(question: str) -> None:
    """A question that can hold anywhere is asked everywhere; `x` is part of too many words to look for."""
    blocks = [[Event(id=f"E{n}", type="text", time=n, payload={"n": n})] for n in range(3)]
    mask = terms_of(blocks).blocks_for(need_of(parse(question, now=0)), Keys())
    assert mask is None or mask.all()


def test_words_too_long_to_list_are_found(tmp_path: Path) -> None:
    """A block with a word of a thousand letters is looked at for any word."""
    blob = "q" * 500 + "needle" + "q" * 500
    engine = Engine(an_archive(tmp_path / "archive", [an_event(payload={"blob": blob}), an_event()]), worthwhile=0)
    for question in (
        "payload.blob CONTAINS 'needle'",
        f"payload.blob = '{blob}'",
        "qneedleq",
        "payload.blob STARTSWITH 'qqq'",
    ):
        assert len(list(engine.events(engine.where(parse(question, now=0))))) == 1


def test_arrays_come_back_from_their_file(tmp_path: Path) -> None:
    """Empty ones, bytes and every type of number; a head that is harmed is told by None."""
    arrays: dict[str, Any] = {"a": np.arange(5, dtype=np.uint64), "b": np.empty(0, np.int32), "c": b"text", "d": b""}
    path = tmp_path / "arrays"
    write_arrays(path, {"version": 1}, arrays)
    found = read_arrays(path)
    assert found is not None
    header, again = found
    assert header == {"version": 1}
    assert again["a"].tolist() == list(range(5))
    assert again["b"].dtype == np.int32
    assert len(again["b"]) == 0
    assert (bytes(again["c"]), bytes(again["d"])) == (b"text", b"")
    data = path.read_bytes()
    for harmed in (b"", data[:20], b"X" + data[1:], data[:60] + b"?" + data[61:], data[:-8]):
        path.write_bytes(harmed)
        assert read_arrays(path) is None


def test_questions_read_only_the_blocks_they_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first few of something common stop the walk; a rare one goes straight to its block."""
    monkeypatch.setattr("whence.index.build.ROWS_AT_ONCE", 50)
    monkeypatch.setattr("whence.index.parts.ROWS_AT_ONCE", 50)
    events = [
        an_event("tick", turn=n, time=1_767_225_600_000_000_000 + n, payload={"word": f"w{n}x"}) for n in range(2_000)
    ]
    engine = Engine(an_archive(tmp_path / "archive", events), worthwhile=0)
    looked: list[int] = []
    table = Blocks.table

    def counting(self: Blocks, blocks: Any, columns: Any) -> Any:
        looked.append(len(blocks))
        return table(self, blocks, columns)

    monkeypatch.setattr(Blocks, "table", counting)
    assert len(engine.blocks()) == 40
    assert [event.turn for event in engine.events(engine.where(parse("turn >= 0", now=0)), limit=3)] == [0, 1, 2]
    assert sum(looked) == 2
    looked.clear()
    assert [event.turn for event in engine.events(engine.where(parse("w1234x", now=0)))] == [1234]
    assert sum(looked) == 1
    looked.clear()
    assert [
        event.turn for event in engine.events(engine.where(parse("type = 'tick'", now=0)), limit=2, newest=True)
    ] == [1999, 1998]
    assert sum(looked) == 2
