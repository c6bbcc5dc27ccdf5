"""Shouts what log records say, and drops those that ask for it."""

from typing import Any

Json = dict[str, Any]


def process(record: Json, resource: Json, scope: Json) -> Json | None:
    """A record in canonical OTLP JSON; None drops it."""
    attributes = {pair["key"]: pair["value"] for pair in record.get("attributes", [])}
    if attributes.get("drop") == {"boolValue": True}:
        return None
    text = record["body"]["stringValue"]
    return {**record, "body": {"stringValue": text.upper() + "!"}}
