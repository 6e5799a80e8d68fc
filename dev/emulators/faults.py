"""What a stand-in does wrong on purpose: the same fields for every cloud, drawn with a seed."""

import argparse
import random
from typing import Any

import msgspec


class Faults(msgspec.Struct, kw_only=True):
    """Shares are 0 to 1, times are seconds. Can be changed while the stand-in runs."""

    lost_requests: float = 0.0
    """Share of mutating calls that are answered with "unavailable" and not done."""
    lost_replies: float = 0.0
    """Share of mutating calls that are done, and whose caller gets no reply."""
    throttled: float = 0.0
    """Share of all calls that are refused for their rate."""
    hidden_seconds: float = 0.0
    """New jobs are unseen by reads for up to so long (drawn for each job)."""


class Dice:
    """Draws by a seed, so that a run can be repeated."""

    def __init__(self, faults: Faults, seed: int | None = None) -> None:
        self.faults = faults
        self.seed = random.randrange(2**32) if seed is None else seed
        self._random = random.Random(self.seed)

    def hits(self, share: float) -> bool:
        """Whether it happens this time."""
        return share > 0 and self._random.random() < share

    def up_to(self, seconds: float) -> float:
        return self._random.uniform(0, seconds) if seconds > 0 else 0.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``--port``, ``--control-port``, ``--seed`` and an option for each fault."""
    parser.add_argument("--port", type=int, default=0, help="0: any free one; the first line says which")
    parser.add_argument("--control-port", type=int, default=0, help="GET /ledger, GET and PUT /faults; 0: any free one")
    parser.add_argument("--seed", type=int, default=None)
    for field in msgspec.structs.fields(Faults):
        name = "--" + field.name.replace("_", "-")
        parser.add_argument(name, type=float, default=field.default, help=f"default {field.default:g}")


def from_arguments(found: argparse.Namespace) -> Faults:
    """The faults that were asked for."""
    wanted: dict[str, Any] = {field.name: getattr(found, field.name) for field in msgspec.structs.fields(Faults)}
    return Faults(**wanted)
