"""The API keeps what its OpenAPI document promises: schemathesis asks the running server whatever the document allows, and more.

WHENCE_TORTURE=1 asks eighty times as much.
"""

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from build import START, a_run, a_span, an_archive, an_event
from build_examples import TORTURE, often
from build_serve import a_client
from whence.serve.app import routers

OPERATIONS = [
    f"{method} {route.path}"  # type: ignore[attr-defined]
    for router in routers()
    for route in router.routes
    for method in getattr(route, "methods", None) or ()
    if getattr(route, "include_in_schema", False) and not route.path.endswith("/stream")  # type: ignore[attr-defined]
]
"""Those of the document, but for answers without end, which tests/serve/live looks after."""


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[schemathesis.BaseSchema]:
    """The document of a server whose archive has what its examples name."""
    events = [
        an_event(
            "job.started", id="E1", payload={"job": "j", "a": [1, {"b": None}]}, time=START + 1, turn=1, agent="a"
        ),
        an_event("task.failed", "E1", "GONE", id="E2", time=START + 2, description="ü \x00", correlation="c"),
        a_span(span="00000000000000aa", time=START + 3),
    ]
    archive = an_archive(tmp_path_factory.mktemp("openapi") / "archive", a_run(*events))
    with a_client(archive, request_timeout="2s") as client:
        yield schemathesis.openapi.from_url(f"http://127.0.0.1:{client.port}/openapi.json")


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["allowed", "not allowed"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_answer_is_one_that_the_document_has(
    described: schemathesis.BaseSchema, operation: str, mode: GenerationMode
) -> None:
    """Its status, its media type and its form; no fault of the server's own.

    What is allowed may be refused: a schema cannot say what a filter, a time or a cursor is. What is not may be answered: in a
    URL a number, a list in a list and null are texts like others. That what cannot be meant is refused: test_events.py.
    """
    method, path = operation.split()
    found = described[path][method]

    told = described.raw_schema["paths"][path][method.lower()]
    if mode is GenerationMode.NEGATIVE and all(one["in"] == "path" for one in told.get("parameters", ())):
        return  # every text is a name

    @given(case=found.as_strategy(generation_mode=mode))
    @settings(
        max_examples=often(5, 400),
        deadline=None,
        derandomize=not TORTURE,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: schemathesis.Case) -> None:
        case.call_and_validate(timeout=60, excluded_checks=[positive_data_acceptance, negative_data_rejection])

    ask()
