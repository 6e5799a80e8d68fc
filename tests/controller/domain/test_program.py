"""What Linux starts a program with: bytes and not characters, and the limits to the byte."""

from collections.abc import Mapping, Sequence

import pytest

from controller.domain import program, reasons
from controller.domain.errors import Invalid, Permanent
from controller.domain.job import AwsOptions, JobSpec
from controller.providers import program as rules

LONGEST = 131_071
"""MAX_ARG_STRLEN is 32 pages of 4096 bytes, the NUL among them."""


def check(
    *,
    image: str = "busybox",
    command: Sequence[str] = (),
    args: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> None:
    program.check(image, command, args, env or {})


def test_the_longest_word_passes_and_one_byte_more_does_not() -> None:
    check(command=["x" * LONGEST], args=["x" * LONGEST])
    with pytest.raises(Invalid, match=r"^spec\.command\[1\] has 131072 bytes.*at most 131071"):
        check(command=["sh", "x" * (LONGEST + 1)])
    with pytest.raises(Invalid, match=r"^spec\.args\[0\] has 131072 bytes"):
        check(args=["x" * (LONGEST + 1)])


def test_bytes_count_and_not_characters() -> None:
    check(args=["ï" * (LONGEST // 2)])
    with pytest.raises(Invalid, match=r"^spec\.args\[0\] has 131072 bytes"):
        check(args=["ï" * (LONGEST // 2 + 1)])
    with pytest.raises(Invalid, match=r"^spec\.args\[0\] has 131074 bytes"):
        check(args=["漢" * 43_691 + "x"])


def test_of_a_variable_name_and_value_count_together() -> None:
    check(env={"NAME": "x" * (LONGEST - 5)})
    with pytest.raises(Invalid, match=r"^spec\.env: NAME has 131072 bytes") as error:
        check(env={"NAME": "x" * (LONGEST - 4)})
    assert "xx" not in str(error.value), "a value may be secret"


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"command": ["a\0b"]}, r"spec\.command\[0\]"),
        ({"args": ["", "a\0"]}, r"spec\.args\[1\]"),
        ({"env": {"TOKEN": "hidden\0"}}, r"spec\.env: TOKEN"),
    ],
)
def test_a_nul_can_be_given_to_no_program(given: dict[str, object], where: str) -> None:
    with pytest.raises(Invalid, match=f"^{where} has a NUL") as error:
        check(**given)  # type: ignore[arg-type]
    assert "hidden" not in str(error.value)


def test_all_of_it_together_has_a_limit() -> None:
    """Two MiB less a page; each word counts with its NUL and its pointer's eight bytes."""
    whole = 2 * 1024 * 1024 - 4096
    words = ["x" * 100_000] * 20
    rest = whole - 20 * (100_000 + 9) - 9
    check(args=[*words, "x" * rest])
    with pytest.raises(Invalid, match=rf"together: .* at most {whole}$") as error:
        check(args=words, env={"A": "x" * (rest - 1)})
    assert f"have {whole + 1} bytes" in str(error.value)
    for part in ("spec.command", "spec.args", "spec.env"):
        assert part in str(error.value)


def test_empty_words_and_no_words_are_fine() -> None:
    check()
    check(command=["sh", "-c", ""], args=["", ""], env={"EMPTY": ""})


def test_callers_name_the_parts_as_they_know_them() -> None:
    fields = program.Fields(image="image_uri", args="commands", env="env_vars")
    with pytest.raises(Invalid, match=r"^image_uri: "):
        program.check("UPPER/case", (), (), {}, fields)
    with pytest.raises(Invalid, match=r"^commands\[0\] has"):
        program.check("busybox", (), ["x" * 200_000], {}, fields)
    with pytest.raises(Invalid, match=r"^env_vars: A has"):
        program.check("busybox", (), (), {"A": "x" * 200_000}, fields)


def test_rules_of_services_begin_with_it() -> None:
    rules.check(JobSpec(image="busybox", command=("sh",), args=("-c",)), {"A": "1"}, "gcp")
    with pytest.raises(Permanent, match=r"^spec\.args\[0\] has") as error:
        rules.check(JobSpec(image="busybox", args=("x" * 200_000,)), {}, "gcp")
    assert error.value.reason == reasons.INVALID_SPEC
    for_aws = JobSpec(image="busybox", aws=AwsOptions(job_queue="q"))
    rules.check(for_aws, {}, "aws")
    with pytest.raises(Permanent, match=r"^spec\.aws: the job goes to gcp") as error:
        rules.check(for_aws, {}, "gcp")
    assert error.value.reason == reasons.INVALID_SPEC
    refused = rules.invalid("resources.gpu", "Fargate has none")
    assert (str(refused), refused.reason) == ("spec.resources.gpu: Fargate has none", reasons.INVALID_SPEC)


def test_half_of_a_pair_is_no_text() -> None:
    for half in ("a\ud800", "\udfff"):
        with pytest.raises(Invalid, match=r"^spec\.args\[0\] has half of a UTF-16 pair"):
            check(args=[half])
        with pytest.raises(Invalid, match=r"^spec\.env: A has half of a UTF-16 pair"):
            check(env={"A": half})
    check(args=["\U0001f600"])
