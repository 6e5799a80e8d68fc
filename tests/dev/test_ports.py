"""Ports of servers that are restarted."""

from pathlib import Path

from dev.stack import free_port

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_a_free_port_is_none_that_outgoing_connections_get() -> None:
    lowest = int(RANGE.read_text().split()[0]) if RANGE.exists() else 32768
    assert all(1024 < free_port(0) < lowest for _ in range(20))
