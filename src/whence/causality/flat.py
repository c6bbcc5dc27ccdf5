"""A chain's one JSON form, the same from the command line and over HTTP.

The law: pure.
"""

from collections.abc import Mapping
from typing import Any

from whence.causality.chains import Chain
from whence.causality.graph import Basis, Tie
from whence.event.flat import to_flat
from whence.event.model import Event


def tie_json(tie: Tie) -> dict[str, Any]:
    """An edge in JSON: `{"id", "basis", "recorded"}`."""
    return {"id": tie.id, "basis": tie.basis.value, "recorded": tie.basis is Basis.RECORDED}


def chain_json(chain: Chain, events: Mapping[str, Event]) -> dict[str, Any]:
    """The chain as one JSON object; each hop has its event in flat form."""
    return {
        "id": chain.event_id,
        "direction": chain.direction,
        "cut": chain.cut,
        "cycles": chain.cycles,
        "hops": [
            {
                "id": hop.id,
                "depth": hop.depth,
                "causes": [tie_json(tie) for tie in hop.causes],
                "missing": hop.missing,
                "beyond": hop.beyond,
                "event": to_flat(events[hop.id]),
            }
            for hop in chain.hops
        ],
    }
