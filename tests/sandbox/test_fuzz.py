"""No text breaks the vetter, no answer breaks the worker: short here, longer in the soak."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.errors import JailFailed
from sandbox.protocol import read_reply
from sandbox.wire import Op, Reply, Request
from tests.sandbox.fuzz import READERS, SEEDS, check_answer, check_reply, check_source, fuzz

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=5)
    | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=20,
)  # fmt: skip


def test_mutated_scripts_and_twisted_answers_break_nothing() -> None:
    counts: Counter[str] = Counter()
    for seed in range(20_261_122, 20_261_182):  # a slow machine takes more rounds, not less care
        counts.update(fuzz(1.0, seed))
        if counts["sources"] > 400 and counts["accepted"] > 0 and counts["read"] > 50:
            break
    assert counts["sources"] > 400
    assert counts["accepted"] > 0
    assert counts["read"] > 50


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(max_size=300))
def test_any_text_can_be_vetted(text: str) -> None:
    check_source(text)
    check_source(SEEDS[0] + text)


@pytest.mark.parametrize("kind", READERS)
@settings(max_examples=60, deadline=None)
@given(content=json_values)
def test_any_json_can_be_read(kind: str, content: object) -> None:
    if kind != "results" or isinstance(content, dict):
        check_answer(kind, content)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=64))
def test_any_bytes_can_be_a_reply(raw: bytes) -> None:
    check_reply(raw)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(Op.RUN, 0, 1, 5, 4_057),
        Reply(Op.RUN, 0, 1, 5, 2**63),
        Reply(Op.RUN, 0, 1, 4, 0),
        Reply(Op.RUN, 0, 2, 5, 0),
        Reply(Op.SAVE, 0, 1, 5, 0),
        Reply(Op.RUN, 2, 1, 5, 0),
    ],
)
def test_a_reply_that_does_not_fit_the_question_is_refused(reply: Reply) -> None:
    request = Request(Op.RUN, 1, 5, 0, 0)
    honest = Reply(Op.RUN, 0, 1, 5, 4_056)
    assert read_reply(honest.pack(), request, 4_096) == honest
    with pytest.raises(JailFailed, match="broke the protocol"):
        read_reply(reply.pack(), request, 4_096)


@pytest.mark.parametrize("source", SEEDS)
def test_the_seeds_are_accepted_or_the_fuzzer_would_prove_nothing(source: str) -> None:
    assert check_source(source)
