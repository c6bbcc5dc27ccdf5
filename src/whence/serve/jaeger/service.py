"""The service of what stands in a resource.

The law: pure. What names no service is of one that is named so, so that it can be chosen.
"""

from typing import Final

import orjson

from whence.collect.records.plain import as_string
from whence.event import names

NO_SERVICE: Final = "unknown_service"


def service_in(resource: str | None) -> str:
    """The service that a resource names, as JSON text or NULL as the index has it."""
    value = orjson.loads(resource).get(names.SERVICE_NAME) if resource else None
    return NO_SERVICE if value is None else as_string(value)
