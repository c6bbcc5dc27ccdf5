"""`/health`: whether the server answers. It says nothing of any event, and needs no token."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request

from whence.serve.door import Strict
from whence.serve.problems import RESPONSES
from whence.serve.served import Served
from whence.version import VERSION

router = APIRouter(dependencies=[Strict], responses=RESPONSES, tags=["server"])


class Health(BaseModel):
    """How the server is."""

    status: Literal["ok", "waiting"] = Field(description="`waiting`: the archive is still to come")
    version: str
    works: dict[str, Literal["ok", "failing"]] = Field(
        default={},
        description="what works beside: each webhook, and whether it takes what it is posted; the log says why not",
    )


@router.get("/health", summary="Whether the server answers", response_model_exclude_defaults=True)
def health(request: Request) -> Health:
    """Whether it answers, whether its archive is there, and whether webhooks take what they are posted."""
    served: Served = request.app.state.served
    works: dict[str, Literal["ok", "failing"]] = {
        name: "failing" if trouble() else "ok" for name, trouble in served.works.items()
    }
    return Health(status="ok" if served.directory.exists() else "waiting", version=VERSION, works=works)
