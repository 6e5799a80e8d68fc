"""Which names the API answers to.

A page of any site can make the browser on this machine call 127.0.0.1: its own name is made to lead there (DNS
rebinding), and then it may read the answers too. Its calls have that name in the header Host. So an API that listens
on loopback answers to names of this machine alone, and to those of ALLOWED_HOSTS.
"""

import re
from collections.abc import Collection
from typing import Final

from aiohttp import hdrs
from multidict import MultiMapping

from api.connect.errors import Code, ConnectError
from controller import proxies

_HOST: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/@,\s]+))(?::[0-9]{1,5})?", re.ASCII)


class KnownHosts:
    """The check of one API."""

    def __init__(self, listens_on: str, allowed: Collection[str]) -> None:
        """`listens_on`: the address. Without names in `allowed`, one that is not loopback answers to any."""
        self._allowed = frozenset(allowed)
        self._is_asked = bool(allowed) or proxies.is_loopback(listens_on)

    def check(self, headers: MultiMapping[str], target: str) -> None:
        """`target`: the request's, as it was sent. Raises ConnectError permission_denied."""
        if self._is_asked and not self._is_known(headers.getall(hdrs.HOST, []), target):
            raise ConnectError(
                Code.PERMISSION_DENIED, "the header Host must name this machine, or a host of ALLOWED_HOSTS"
            )

    def _is_known(self, hosts: list[str], target: str) -> bool:
        # A target with a host of its own, as for proxies, would count in place of the header.
        if len(hosts) != 1 or not target.startswith("/"):
            return False
        parts = _HOST.fullmatch(hosts[0].strip())
        if parts is None:
            return False
        name = (parts[1] or parts[2]).lower().removesuffix(".")
        return proxies.is_loopback(name) or name in self._allowed
