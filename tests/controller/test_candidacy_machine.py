"""Three candidates on one lease, with calls that take, lose or outlive any time: never two leaders at one moment."""

from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from controller.candidacy import Call, Candidacy, Timing
from controller.kube.lease import Lease

TIMINGS = (Timing(ttl=15, interval=2), Timing(ttl=15, interval=2), Timing(ttl=6, interval=1))  # a rollout's mixture
EPOCHS = (0.0, 5e5, -1e6)
START = datetime(2026, 1, 1, tzinfo=UTC)

candidates = st.integers(0, 2)


class _Sent(msgspec.Struct):
    """A call on its way: it arrives at some time, or never; its reply arrives later, or never."""

    candidate: int
    call: Call
    reply: Lease | str | None = None


class ElectionMachine(RuleBasedStateMachine):
    """The server, and candidates that are stepped (or not: a pause) by hypothesis."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.stored: Lease | None = None
        self.version = 0
        self.candidates = [Candidacy(f"c{n}", timing) for n, timing in enumerate(TIMINGS)]
        self.wall = [0.0, 0.0, 0.0]
        self.waits_for: list[_Sent | None] = [None, None, None]
        self.under_way: list[_Sent] = []
        """Also those whose sender has given up."""

    def clock(self, n: int) -> float:
        return self.now + EPOCHS[n]

    @rule(seconds=st.sampled_from([0.1, 0.9, 2.0, 3.9, 4.1, 5.9, 6.1, 9.9, 10.1, 14.9, 15.1]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(n=candidates, seconds=st.sampled_from([-3600.0, 3600.0]))
    def the_wall_clock_is_set(self, n: int, seconds: float) -> None:
        self.wall[n] += seconds

    @rule(n=candidates)
    def send(self, n: int) -> None:
        if self.waits_for[n] is None:
            wall = START + timedelta(seconds=self.now + self.wall[n])
            sent = _Sent(candidate=n, call=self.candidates[n].next_call(self.clock(n), wall))
            self.waits_for[n] = sent
            self.under_way.append(sent)

    @rule(data=st.data())
    def arrive(self, data: st.DataObject) -> None:
        if self.under_way:
            sent = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
            self.arrive_now(sent)

    def arrive_now(self, sent: _Sent) -> None:
        sent.reply = self.serve(sent.call)

    @rule(n=candidates)
    def give_up(self, n: int) -> None:
        sent = self.waits_for[n]
        if sent is not None:
            self.candidates[n].failed(sent.call)
            self.waits_for[n] = None

    @rule(n=candidates)
    def hear(self, n: int) -> None:
        sent, candidacy = self.waits_for[n], self.candidates[n]
        if sent is None or sent.reply is None:
            return
        self.waits_for[n] = None
        match sent.reply:
            case "missing":
                candidacy.missing(self.clock(n))
            case "refused":
                candidacy.refused()
            case Lease() as lease:
                candidacy.answered(sent.call, lease, self.clock(n))

    @rule(n=candidates)
    def look_and_write_in_a_moment(self, n: int) -> None:
        """So that leaders come about often."""
        for _ in range(2):
            if self.waits_for[n] is None:
                self.send(n)
                self.arrive_now(self.under_way.pop())
                self.hear(n)

    @rule(n=candidates, slow=candidates, seconds=st.sampled_from([9.9, 14.9, 15.1, 30.0]))
    def a_reply_that_is_heard_late_while_another_goes_on(self, n: int, slow: int, seconds: float) -> None:
        """The window that every election must survive; chance alone finds it too rarely."""
        if slow == n or self.waits_for[slow] is not None:
            return
        self.send(slow)
        self.arrive_now(self.under_way.pop())
        self.look_and_write_in_a_moment(n)
        self.now += seconds
        self.look_and_write_in_a_moment(n)
        self.there_are_never_two_leaders()
        self.hear(slow)

    @rule(n=candidates, often=st.integers(0, 3))
    def dies(self, n: int, often: int) -> None:
        if often == 0:
            self.restart(n)

    def restart(self, n: int) -> None:
        """Another process: nothing is remembered, and nothing released."""
        name = f"{self.candidates[n].identity}'"
        self.candidates[n] = Candidacy(name, TIMINGS[n])
        self.waits_for[n] = None

    @rule(n=candidates, often=st.integers(0, 3))
    def stops(self, n: int, often: int) -> None:
        if often:
            return
        if self.candidates[n].resign() and self.stored and self.stored.holder == self.candidates[n].identity:
            self.store(msgspec.structs.replace(self.stored, holder=""))
        self.restart(n)

    @rule()
    def somebody_puts_a_label_on(self) -> None:
        if self.stored is not None:
            self.store(self.stored)

    def serve(self, call: Call) -> Lease | str:
        if call.is_creation:
            assert call.lease is not None
            return self.store(call.lease) if self.stored is None else "refused"
        if self.stored is None:
            return "missing"
        if call.lease is None:
            return self.stored
        if call.lease.version != self.stored.version:
            return "refused"
        return self.store(call.lease)

    def store(self, lease: Lease) -> Lease:
        self.version += 1
        self.stored = msgspec.structs.replace(lease, version=str(self.version))
        return self.stored

    @invariant()
    def there_are_never_two_leaders(self) -> None:
        leaders = [c.identity for n, c in enumerate(self.candidates) if c.is_leader(self.clock(n))]
        assert len(leaders) <= 1, leaders

    @invariant()
    def the_leader_holds_the_lease(self) -> None:
        for n, candidacy in enumerate(self.candidates):
            if candidacy.is_leader(self.clock(n)):
                assert self.stored is not None
                assert self.stored.holder == candidacy.identity

    @invariant()
    def a_leader_never_waits_past_its_end(self) -> None:
        for n, candidacy in enumerate(self.candidates):
            now = self.clock(n)
            for failed in (False, True):
                pause = candidacy.pause(now, failed=failed)
                assert pause >= 0
                if candidacy.is_leader(now):
                    assert pause <= candidacy.seconds_left(now)


ElectionMachine.TestCase.settings = settings(max_examples=300, stateful_step_count=60, deadline=None)
TestElection = ElectionMachine.TestCase
