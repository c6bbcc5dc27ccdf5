"""Which files are read where `ordering_criteria` choose."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from build_files import a_line, reading
from whence.collect.receivers.files.look import Seen
from whence.collect.receivers.files.ordering import OrderingCriteria, ordered

FILES = ["a-2.log", "a-10.log", "b-3.log", "b-x.log", "other.log"]


def chosen(files: list[str] = FILES, **criteria: Any) -> list[str]:
    """The names of those that are read; each was changed after the one before."""
    seen = [Seen(f"/logs/{name}", 1, n, 0, n) for n, name in enumerate(files)]
    return [Path(one.path).name for one in ordered(seen, OrderingCriteria.model_validate(criteria))]


def test_the_first_of_the_files_are_read() -> None:
    """By numbers, names, times in names and times of change; what has no such key is left out."""
    number = r"-(?P<n>\w+)\.log"
    by = {"regex_key": "n", "sort_type": "numeric"}
    assert chosen(regex=number, sort_by=[by]) == ["a-10.log"]
    assert chosen(regex=number, sort_by=[{**by, "ascending": True}], top_n=2) == ["a-2.log", "b-3.log"]
    assert chosen(regex=number, sort_by=[{**by, "sort_type": "alphabetical"}]) == ["b-x.log"]
    assert chosen(sort_by=[{"sort_type": "mtime"}], top_n=2) == ["other.log", "b-x.log"]
    assert chosen(regex=number, sort_by=[by], group_by=r"^(?P<host>\w)") == ["a-10.log", "b-3.log"]
    two = {"regex": r"^(?P<h>\w)-(?P<n>\d+)", "top_n": 9}
    assert chosen(**two, sort_by=[{"regex_key": "h", "sort_type": "lexicographic"}, by]) == [
        "b-3.log",
        "a-10.log",
        "a-2.log",
    ]
    time = {"regex_key": "t", "sort_type": "timestamp", "layout": "%Y%m%d%H", "location": "Europe/Zurich"}
    assert chosen(["x.2024010101.log", "x.2023123123.log"], regex=r"(?P<t>\d{10})", sort_by=[time]) == [
        "x.2024010101.log"
    ]


@pytest.mark.parametrize(
    ("criteria", "said"),
    [
        ({"sort_by": []}, "at least 1"),
        ({"sort_by": [{"sort_type": "numeric"}]}, "regex_key"),
        ({"regex": "x", "sort_by": [{"sort_type": "numeric", "regex_key": "n"}]}, "no group named n"),
        ({"regex": "(", "sort_by": [{"sort_type": "mtime"}]}, "not a regular expression"),
        ({"sort_by": [{"sort_type": "mtime", "location": "Nowhere"}]}, "not Nowhere"),
        ({"regex": "(?P<t>x)", "sort_by": [{"sort_type": "timestamp", "regex_key": "t"}]}, "layout"),
    ],
)
def test_criteria_that_choose_nothing_are_refused(criteria: dict[str, Any], said: str) -> None:
    """When the configuration is read."""
    with pytest.raises(ValidationError, match=said):
        OrderingCriteria.model_validate(criteria)


def test_a_file_that_is_chosen_no_more_is_read_to_its_end(tmp_path: Path) -> None:
    """As one that was renamed."""
    criteria = {"regex": r"(?P<n>\d+)", "sort_by": [{"regex_key": "n", "sort_type": "numeric"}]}
    (tmp_path / "1.jsonl").write_bytes(a_line("one"))
    with reading(tmp_path, "*.jsonl", ordering_criteria=criteria) as one:
        one.has(1)
        with (tmp_path / "1.jsonl").open("ab") as file:
            (tmp_path / "2.jsonl").write_bytes(a_line("two"))
            one.has(2)
            file.write(a_line("late"))
        assert sorted(one.has(3)) == ["late", "one", "two"]
