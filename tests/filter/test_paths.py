"""The paths that a query names."""

import pytest

from whence.filter.parse import parse_query
from whence.filter.paths import paths_of
from whence.filter.printer import path_text

ASKED = [
    ("", []),
    ("'a text anywhere'", []),
    ("ROOT OR ORPHAN", []),
    ("severity >= ERROR AND NOT payload.a.b = 1", ["severity", "payload.a.b"]),
    ("CAUSED_BY (type LIKE 'a*' OR agent IN ('x', 'y'))", ["type", "agent"]),
    ("CAUSED (attributes.k MATCHES 'z' AND payload.l CONTAINS 'i' AND run STARTSWITH 'r' AND EXISTS task)",
     ["attributes.k", "payload.l", "run", "task"]),
    ("kind = 'state' | count by agent, bucket(1m)", ["kind", "agent"]),
    ("| p95 duration_ns by stage", ["duration_ns", "stage"]),
    ("| top 3 payload.x", ["payload.x"]),
    ("| sort payload.y | head 2 | fields id, payload.z", ["payload.y", "id", "payload.z"]),
    ("| distinct run, agent", ["run", "agent"]),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "named"), ASKED)
def test_every_path_of_a_query_is_named_in_order(asked: str, named: list[str]) -> None:
    """In conditions at any depth, in questions about causes and effects, and in pipes."""
    assert [path_text(path) for path in paths_of(parse_query(asked, now=0))] == named
