"""What was made other than asked for: kept in a tag, and told from it."""

from hypothesis import given
from hypothesis import strategies as st

from controller.domain import conditions
from controller.providers.aws import remarks, tags

pairs = st.none() | st.tuples(st.integers(0, 10**6), st.integers(0, 10**6))


@given(
    st.builds(
        remarks.Deviations,
        cpu=pairs,
        memory=pairs,
        timeout=pairs,
        parallelism=st.none() | st.integers(1, 10_000),
        disk=st.none() | st.integers(10, 65536),
        command=st.booleans(),
    )
)
def test_remarks_fit_into_a_tag_and_come_back_from_it(found: remarks.Deviations) -> None:
    text = remarks.encode(found)
    assert len(text) <= tags.VALUE_MAX
    assert tags._ALLOWED.fullmatch(text)
    kinds = {remark.condition for remark in remarks.decode(text)}
    assert (conditions.PARALLELISM_HONOURED in kinds) == (found.parallelism is not None)
    assert (conditions.DEADLINE_EXACT in kinds) == (found.timeout is not None)
    assert (conditions.RESOURCES_EXACT in kinds) == any((found.cpu, found.memory, found.disk))
    assert (conditions.ENTRYPOINT_REPLACED in kinds) == found.command


@given(st.text())
def test_any_text_in_the_tag_is_survived(text: str) -> None:
    remarks.decode(text)
