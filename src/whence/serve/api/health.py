"""`/health`: whether the server answers. It says nothing of any event, and needs no token."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request

from whence.serve.door import Strict
from whence.serve.problems import RESPONSES
from whence.version import VERSION

router = APIRouter(dependencies=[Strict], responses=RESPONSES, tags=["server"])


class Health(BaseModel):
    """How the server is."""

    status: Literal["ok", "waiting"] = Field(description="`waiting`: the archive is still to come")
    version: str


@router.get("/health", summary="Whether the server answers")
def health(request: Request) -> Health:
    """Whether it answers, and whether its archive is there."""
    there = request.app.state.served.directory.exists()
    return Health(status="ok" if there else "waiting", version=VERSION)
