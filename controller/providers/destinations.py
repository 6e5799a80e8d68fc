"""What all adapters ask of the destinations that requests and references carry."""

from collections.abc import Iterable

from controller.domain.destination import Destination
from controller.domain.errors import Unreachable
from controller.ports import JobRef, SubmitRequest


def check(site: Destination, asked: Iterable[SubmitRequest | JobRef]) -> None:
    """See that the client of a site is asked only for jobs of that site: what it finds, or does not find, says nothing
    of others. A job without a destination is taken for one of the site. Raises Unreachable."""
    for one in asked:
        if one.destination is not None and one.destination.site != site:
            raise Unreachable(f"{one.external_name} was sent to {one.destination}, and the client of {site} is asked")
