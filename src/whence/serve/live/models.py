"""What answers about live events look like, for OpenAPI.

The law: data only; answers themselves are written as bytes.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from whence.serve.api.models import EventModel


class NoticeModel(BaseModel):
    """What is told that is no event."""

    model_config = ConfigDict(extra="forbid", title="Notice")

    message: str = Field(description="`missed`")
    data: dict[str, Any] = Field(description="`reason`, `detail`, and where they are known `count`, `from`, `to`")


class PollModel(BaseModel):
    """Events behind a place, oldest first."""

    model_config = ConfigDict(extra="forbid", title="Poll")

    events: list[EventModel]
    notices: list[NoticeModel]
    cursor: str = Field(description="the place behind these: ask with it for what comes next")
    has_more: bool = Field(description="whether there is more already")
