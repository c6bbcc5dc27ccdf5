"""Every setting of the server, with its default.

The law: pure. An unknown key is an error; a value that cannot be used is a ValueError in words.
"""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from whence.collect.exporters.http_client import is_url
from whence.collect.exporters.webhook import PostSettings
from whence.collect.processors.redaction import RedactionSettings
from whence.collect.settings import Cors, Duration, RetryOnFailure, Secret, Settings, TLSServer
from whence.errors import DataError, FilterError
from whence.event.flat import parse_time
from whence.event.misfits import Misfit
from whence.filter.match import matcher
from whence.filter.parse import parse

Role = Literal["read", "write", "admin"]
SHORTEST_TOKEN: Final = 16
"""Characters of a token: fewer can be guessed."""

WEBHOOK_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$"


def as_wall(text: str) -> str:
    """A filter that says what somebody may see. It must mean the same at any time, of one event alone. Raises Misfit."""
    try:
        tree = parse(text, now=0)
        matcher(tree)
    except FilterError as fault:
        raise Misfit(str(fault).partition("\n")[0]) from None
    if tree != parse(text, now=1 << 60):
        raise Misfit("a filter that counts from now cannot say what somebody may see: give a fixed time")
    return text


def _as_moment(text: str) -> str:
    try:
        parse_time(text)
    except (DataError, OverflowError):
        raise ValueError("a time such as 2026-12-31T00:00:00Z") from None
    return text


class TokenSettings(Settings):
    """One who may ask: a token, and what it opens."""

    name: str = Field(min_length=1, description="who it is, for logs; never the token itself")
    token: Secret | None = Field(default=None, description="the token, best as `${env:NAME}` or `${file:PATH}`")
    sha256: str | None = Field(
        default=None, pattern="^[0-9a-f]{64}$", description="its SHA-256 in hex, instead of the token"
    )
    role: Role = Field(default="read", description="`read`, `write` (positions, replays) or `admin` (audit events too)")
    where: Annotated[str, AfterValidator(as_wall)] = Field(
        "", description="a filter: only events that match can be seen, counted or asked about"
    )
    audit: bool | None = Field(default=None, description="whether audit events can be seen; by default by `admin` only")
    expires: Annotated[str, AfterValidator(_as_moment)] | None = Field(default=None, description="when it ends")

    @model_validator(mode="after")
    def _one_form(self) -> "TokenSettings":
        if (self.token is None) == (self.sha256 is None):
            raise Misfit("one of token and sha256")
        if self.token is not None and len(self.token.get_secret_value()) < SHORTEST_TOKEN:
            raise Misfit(f"the token is shorter than {SHORTEST_TOKEN} characters: make one with `openssl rand -hex 32`")
        return self


class MaskSettings(RedactionSettings):
    """What is hidden in answers: the keys of the processor `redaction`, which here keeps every key unless told otherwise."""

    allow_all_keys: bool = True


class AuthSettings(Settings):
    """Who may ask. With neither tokens nor a file, everybody who can reach the port may."""

    tokens: tuple[TokenSettings, ...] = ()
    file: str | None = Field(default=None, description="a YAML file with a list of tokens; read again when it changes")

    @field_validator("tokens")
    @classmethod
    def _told_apart(cls, tokens: tuple[TokenSettings, ...]) -> tuple[TokenSettings, ...]:
        check_names(tokens)
        return tokens


class StreamSettings(Settings):
    """Live streams."""

    heartbeat: Duration = Field(
        default=5.0, ge=0.01, description="a sign of life is sent this often where nothing happens"
    )
    buffer: int = Field(default=10_000, ge=1, description="events held for a subscriber that is slower than they come")
    back_pressure: float = Field(
        default=0.8, gt=0, le=1, description="how full its buffer is when a subscriber is told to hurry"
    )
    slow_timeout: Duration = Field(
        default=30.0, description="how long a buffer may stay full before its subscriber is let go"
    )
    subscribers: int = Field(default=2_000, ge=1, description="how many there may be at once")


class WebhookSettings(PostSettings):
    """Events posted as they come: the keys of the exporter `webhook`, but for its queue, which here is the archive itself."""

    role: Role = Field(default="admin", description="as whom it sees events: what `masks` hides from that role")

    @model_validator(mode="after")
    def _can_be_posted(self) -> "WebhookSettings":
        if not is_url(self.url):
            raise Misfit("an endpoint such as https://host/path")
        if self.auth is not None:
            raise Misfit("no `auth`, which names an extension of a collector: give `headers`")
        return self

    @property
    def retry(self) -> RetryOnFailure:
        """When it is tried again: for ever, unless there is a bound."""
        bounded = "max_elapsed_time" in self.retry_on_failure.model_fields_set
        return self.retry_on_failure if bounded else self.retry_on_failure.model_copy(update={"max_elapsed_time": 0.0})


class JaegerSettings(Settings):
    """What a stock Jaeger reads the archive by."""

    enabled: bool = True
    endpoint: str = Field(default="127.0.0.1:17271", description="Remote Storage API v2, gRPC")


class ServeSettings(Settings):
    """The server's keys."""

    directory: str = Field(default="whence-archive", description="the archive; it may still be to come")
    endpoint: str = Field(default="127.0.0.1:8642", description="where HTTP is answered")
    auth: AuthSettings = AuthSettings()
    masks: dict[Role, MaskSettings] = Field(default={}, description="by role, what is hidden in answers")
    insecure_no_auth: bool = Field(
        False, description="listen beyond this machine although nobody has to say who they are"
    )
    hosts: tuple[str, ...] = Field(
        (), description="names by which the server is reached, beside this machine's own; `*` for any"
    )
    cors: Cors = Field(default=Cors(), description="pages of other origins that may ask")
    tls: TLSServer | None = None
    request_timeout: Duration = Field(
        default=30.0, gt=0, description="how long a question may take; then a part is the answer"
    )
    stop_timeout: Duration = Field(default=10.0, description="how long answers under way may take once it is to stop")
    most_events: int = Field(default=10_000, ge=1, description="the greatest `limit`")
    console: bool = Field(default=False, description="show each new event as a log line tagged `[events]`")
    webhooks: dict[Annotated[str, Field(pattern=WEBHOOK_NAME)], WebhookSettings] = Field(
        default={}, description="by name, where events are posted as they come"
    )
    stream: StreamSettings = StreamSettings()
    jaeger: JaegerSettings = JaegerSettings()


def check_names(tokens: tuple[TokenSettings, ...]) -> None:
    """Raises Misfit where two have one name."""
    names = [token.name for token in tokens]
    for name in names:
        if names.count(name) > 1:
            raise Misfit(f"two tokens are called {name!r}: give each a name of its own")
