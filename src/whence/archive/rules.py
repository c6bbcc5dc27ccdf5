"""Rules of retention from the texts of filters: needs the filter language, and so `whence[query]`.

The law: pure. A rule is asked of one event at a time, so it cannot ask for causes, and it never speaks for audit events.
"""

from whence.archive.retention import AUDIT, Rule
from whence.errors import ConfigError, FilterError
from whence.filter.match import matcher
from whence.filter.parse import parse
from whence.filter.printer import to_text
from whence.filter.tree import Everything


def rule_of(text: str, days: float, now: int) -> Rule:
    """The rule that events matching `text` are kept for `days`. `now`: ns since the epoch, what `now-5m` counts from.

    Raises FilterError where it is no filter or asks for causes, ConfigError where another setting says it.
    """
    tree = parse(text, now=now)
    if isinstance(tree, Everything):
        raise ConfigError("cannot keep events by an empty filter: the days of all others say that; set days")
    canonical = to_text(tree)
    if canonical == AUDIT:
        raise ConfigError("cannot keep audit events by a rule: they have days of their own; set audit_days")
    try:
        matcher(tree)
    except FilterError:
        raise FilterError(
            f"cannot keep events by {canonical}: a rule looks at one event at a time, and causes are other events; "
            "name what the event itself has"
        ) from None
    return Rule(canonical, days, tree)
