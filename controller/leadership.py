"""Who may act. For one replica: always we. The loop asks `ports.Leadership` before every action."""


class AlwaysLeader:
    """`ports.Leadership` of a controller that runs alone."""

    def is_leader(self) -> bool:
        return True

    async def wait_until_leader(self) -> None:
        return
