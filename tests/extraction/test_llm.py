"""The extractor with a language model, over real HTTP: good answers, bad ones, and none at all."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

import pytest

from memos.errors import ExtractorAnswer, ExtractorUnavailable, InvalidSetting, MissingDependency
from memos.extraction.llm import Ledger, LlmExtractor
from memos.extraction.llm.provider import Provider
from memos.testing import RecordedModel
from memos.types import Extraction, Kind, Memory, Provenance, State

NOW = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
KEY = "house secret 123"
MOVED = "I moved to Bern last year."
RECORDING = {
    MOVED: {
        "mentions": [{"name": "Bern", "type": "city", "text": "Bern"}],
        "claims": [
            {
                "subject": {"name": "Anna", "type": "person"},
                "predicate": "lives_in",
                "object": {"name": "Bern", "type": "city"},
                "since": {"at": "2023", "granularity": "year"},
                "confidence": 0.9,
                "text": "I moved to Bern last year",
            }
        ],
    }
}


def memory(number: int, content: str, *, session: str = "s") -> Memory:
    return Memory(
        id=f"m{number}",
        cube_id="c",
        content=content,
        kind=Kind.EPISODIC,
        state=State.ACTIVATED,
        version=1,
        position=number,
        user_id=None,
        agent_id=None,
        session_id=session,
        speaker="Anna",
        occurred_at=NOW,
        place=None,
        images=(),
        metadata={},
        priority=0.5,
        expires_at=None,
        provenance=Provenance(),
        created_at=NOW,
        updated_at=NOW,
    )


TURNS = [memory(1, MOVED), memory(2, "How nice!")]


@pytest.fixture(scope="module", autouse=True)
def _litellm():
    """Its first use imports for seconds, which no time limit of a test is meant for."""
    with RecordedModel() as server:
        LlmExtractor("gpt-4o-mini", url=server.url).extract(TURNS)


class Pauses(list):
    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def extractor(server: RecordedModel, model: str = "gpt-4o-mini", **how) -> LlmExtractor:
    return LlmExtractor(model, url=server.url, **{"key": KEY, "sleep": Pauses(), **how})


def asked(server: RecordedModel, number: int) -> dict:
    return json.loads(server.requests[number]["messages"][1]["content"])


def test_claims_and_mentions_come_over_the_wire():
    with RecordedModel(RECORDING) as server:
        first, second = extractor(server).extract(TURNS)
    (claim,) = first.claims
    assert (claim.subject.name, claim.predicate, claim.object.name) == ("Anna", "lives_in", "Bern")
    assert claim.since.start == datetime(2023, 1, 1, tzinfo=timezone.utc)
    assert MOVED[claim.start : claim.end] == "I moved to Bern last year"
    assert second == Extraction()
    (request,) = server.requests
    assert request["response_format"]["type"] == "json_schema"
    assert request["response_format"]["json_schema"]["strict"] is True
    assert request["temperature"] == 0
    assert request["model"] == "gpt-4o-mini"
    assert server.keys == [KEY]


def test_a_name_with_a_slash_that_is_no_provider_is_the_servers_own():
    with RecordedModel(RECORDING) as server:
        found = extractor(server, "meta-llama/Llama-3-8B").extract(TURNS)
        assert isinstance(found[0], Extraction)
        extractor(server, "openai/local-model").extract(TURNS)
    assert [r["model"] for r in server.requests] == ["meta-llama/Llama-3-8B", "local-model"]


def test_a_providers_key_never_goes_to_ones_own_server(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-provider")
    with RecordedModel() as server:
        LlmExtractor("gpt-4o-mini", url=server.url).extract(TURNS)
    assert server.keys == ["no-key"]


def test_turns_go_in_batches_with_what_was_said_before():
    turns = [memory(n, f"turn {n}", session="a" if n <= 5 else "b") for n in range(1, 8)]
    before = [memory(0, "turn 0", session="a")]
    with RecordedModel() as server:
        found = extractor(server, batch=2, concurrency=1).extract(turns, before=before)
    assert found == [Extraction()] * 7
    batches = [[t["text"] for t in asked(server, n)["turns"]] for n in range(4)]
    assert batches == [["turn 1", "turn 2"], ["turn 3", "turn 4"], ["turn 5"], ["turn 6", "turn 7"]]
    assert [t["text"] for t in asked(server, 0)["before"]] == ["turn 0"]
    assert [t["text"] for t in asked(server, 2)["before"]] == [f"turn {n}" for n in range(5)]
    assert asked(server, 3)["before"] == []
    assert asked(server, 0)["turns"][0] == {
        "id": "t1",
        "speaker": "Anna",
        "at": "2024-05-01T12:00+00:00",
        "weekday": "Wednesday",
        "text": "turn 1",
    }


class Crowd(RecordedModel):
    """Answers nobody before `size` requests are there at once; `most` is how many there ever were.

    Then it gives one more the time to come. It should not: on a slow machine one that does may be
    missed, and one that does not is never seen.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size
        self._changed = threading.Condition()
        self._here = self._came = self.most = 0

    def expect(self, size: int) -> None:
        """From now on."""
        self._size, self._came = size, 0

    def content(self, body: Mapping[str, Any], fault: str) -> str:
        with self._changed:
            self._here += 1
            self._came += 1
            self.most = max(self.most, self._here)
            self._changed.notify_all()
            # By the number that came, for those who were here may have been answered meanwhile.
            wanted = -(-self._came // self._size) * self._size
            assert self._changed.wait_for(lambda: self._came >= wanted, 60)
            self._changed.wait_for(lambda: self._here > self._size, 0.1)
            self._here -= 1
        return super().content(body, fault)


def test_batches_are_asked_at_the_same_time_but_not_too_many():
    turns = [memory(n, f"turn {n}") for n in range(7)]
    with Crowd(1) as server:
        reader = extractor(server, batch=1, concurrency=3, attempts=1)
        # Of the first at the same time each would make a client, and all but one be left to Python
        # to close.
        reader.extract(turns[:1])
        server.expect(3)
        found = reader.extract(turns[1:])
    assert found == [Extraction()] * 6
    assert (len(server.requests), server.most) == (7, 3)


def test_calls_share_the_limit_of_requests_at_the_same_time():
    with Crowd(1) as server:
        reader = extractor(server, concurrency=1, attempts=1)
        callers = [threading.Thread(target=reader.extract, args=(TURNS,)) for _ in range(2)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
    assert (len(server.requests), server.most) == (2, 1)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("prose", "not JSON"),
        ("invalid_json", "not JSON"),
        ("wrong_schema", "does not follow the schema"),
        ("empty", "empty answer"),
    ],
)
def test_an_answer_of_no_use_is_asked_for_again_and_then_an_error(fault, reason):
    with RecordedModel(RECORDING, always=fault) as server:
        reader = extractor(server, attempts=2)
        found = reader.extract(TURNS)
    assert [type(outcome) for outcome in found] == [ExtractorAnswer] * 2
    assert all(reason in outcome.message for outcome in found)
    assert [outcome.details["memory_id"] for outcome in found] == ["m1", "m2"]
    assert len(server.requests) == 2
    assert reason in server.requests[1]["messages"][-1]["content"]
    use = reader.ledger.snapshot()["gpt-4o-mini"]
    assert (use.requests, use.failures) == (2, 2)


@pytest.mark.parametrize("fault", ["prose", "invalid_json", "wrong_schema", "empty", "500", "429"])
def test_a_second_try_that_succeeds_is_a_success(fault):
    with RecordedModel(RECORDING, faults=[fault]) as server:
        reader = extractor(server)
        found = reader.extract(TURNS)
    assert [type(outcome) for outcome in found] == [Extraction] * 2
    assert len(found[0].claims) == 1
    use = reader.ledger.snapshot()["gpt-4o-mini"]
    assert (use.requests, use.failures) == (2, 1)


def test_only_the_turns_that_failed_are_asked_for_again():
    with RecordedModel(RECORDING, faults=["missing_turn"]) as server:
        found = extractor(server).extract(TURNS)
    assert [len(outcome.claims) for outcome in found] == [1, 0]
    assert [t["text"] for t in asked(server, 1)["turns"]] == [MOVED]
    assert "missing" in server.requests[1]["messages"][-1]["content"]


def test_one_turn_that_can_not_be_read_does_not_harm_the_others():
    with RecordedModel(RECORDING, always="missing_turn") as server:
        found = extractor(server, attempts=2).extract(TURNS)
    assert isinstance(found[0], ExtractorAnswer)
    assert found[1] == Extraction()


@pytest.mark.parametrize(
    ("fault", "requests", "reason"),
    [
        ("500", 3, "HTTP 500"),
        ("429", 3, "HTTP 429"),
        ("disconnect", 3, "onnection error"),
        ("401", 1, "check extraction_key"),
        ("404", 1, "check extraction_model"),
    ],
)
def test_a_server_that_does_not_answer_is_unavailable(fault, requests, reason):
    with RecordedModel(always=fault) as server:
        found = extractor(server).extract(TURNS)
    assert [type(outcome) for outcome in found] == [ExtractorUnavailable] * 2
    assert all(reason in outcome.message for outcome in found)
    assert len(server.requests) == requests


@pytest.mark.parametrize("fault", ["hang", "trickle"])
def test_a_server_that_hangs_is_given_up_in_time(fault):
    with RecordedModel(always=fault) as server:
        begun = time.monotonic()
        found = extractor(server, timeout=0.5, attempts=2).extract(TURNS)
        took = time.monotonic() - begun
    assert [type(outcome) for outcome in found] == [ExtractorUnavailable] * 2
    assert "no whole answer within 0.5 s" in found[0].message
    assert 1.0 <= took < 60  # the server would have gone on for as long as it runs


def test_whoever_sees_first_that_the_time_is_up_says_the_same():
    """The client has a limit of its own, which a caller that was kept from waiting sees first."""
    provider = Provider("m", timeout=0.01, concurrency=1, ledger=Ledger())

    def late():
        time.sleep(0.02)
        raise OSError("the client's own limit")

    join = threading.Thread.join
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "join", lambda thread, timeout: join(thread))
        with pytest.raises(TimeoutError, match=r"within 0\.01 s"):
            provider._within_time(late)


def test_a_refused_connection_is_unavailable():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    found = LlmExtractor("m", url=url, attempts=1).extract(TURNS)
    assert [type(outcome) for outcome in found] == [ExtractorUnavailable] * 2


def test_pauses_grow_and_a_server_may_ask_for_longer():
    pauses = Pauses()
    with RecordedModel(always="500") as server:
        extractor(server, attempts=4, sleep=pauses).extract(TURNS)
    assert pauses == [0.5, 1.0, 2.0]
    pauses.clear()
    with RecordedModel(faults=["429"], retry_after=7) as server:
        extractor(server, sleep=pauses).extract(TURNS)
    assert pauses == [7.0]


@pytest.mark.parametrize("fault", ["401", "500", "429", "rejected", "prose", "disconnect"])
def test_the_key_is_in_no_message(fault):
    with RecordedModel(always=fault) as server:
        found = extractor(server, attempts=1).extract(TURNS)
    assert server.keys[0] == KEY
    assert not [outcome for outcome in found if KEY in str(outcome) + repr(outcome.details)]


def test_a_key_that_the_client_took_from_elsewhere_is_in_no_message_either(monkeypatch):
    with RecordedModel(always="401") as server:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-abcdefgh12345")
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        (found, _) = LlmExtractor("openai/m").extract(TURNS)
    assert server.keys == ["sk-abcdefgh12345"]
    assert "Incorrect API key provided: •••" in found.message


def test_what_a_provider_refuses_is_left_out_from_then_on_and_said(caplog):
    with RecordedModel(RECORDING, always="no_json_schema") as server:
        reader = extractor(server)
        assert isinstance(reader.extract(TURNS)[0], Extraction)
        reader.extract(TURNS)
    assert [r["response_format"]["type"] for r in server.requests] == [
        "json_schema",
        "json_object",
        "json_object",
    ]
    assert reader.capabilities.format == "json_object"
    assert "from now on asked with" in caplog.text


def test_a_provider_without_formats_or_temperature_is_still_checked():
    with RecordedModel(RECORDING, always="no_response_format") as server:
        reader = extractor(server)
        assert len(reader.extract(TURNS)[0].claims) == 1
    assert reader.capabilities.format == "text"
    with RecordedModel(RECORDING, always="no_temperature") as server:
        reader = extractor(server)
        assert len(reader.extract(TURNS)[0].claims) == 1
    assert reader.capabilities.temperature is False
    assert "temperature" not in server.requests[-1]


def test_a_text_that_the_model_will_not_read_fails_alone():
    with RecordedModel(RECORDING, faults=["rejected", "ok", "rejected"]) as server:
        found = extractor(server).extract(TURNS)
    assert len(found[0].claims) == 1
    assert isinstance(found[1], ExtractorAnswer)
    assert "maximum context length" in found[1].message


def test_an_answer_that_was_cut_off_is_asked_for_in_two_parts():
    with RecordedModel(RECORDING, faults=["cut"]) as server:
        found = extractor(server).extract(TURNS)
    assert [len(outcome.claims) for outcome in found] == [1, 0]
    assert [[t["text"] for t in asked(server, n)["turns"]] for n in (1, 2)] == [
        [MOVED],
        ["How nice!"],
    ]
    with RecordedModel(RECORDING, always="cut") as server:
        (found,) = extractor(server, attempts=1).extract(TURNS[:1])
    assert "limit of tokens" in found.message


def test_the_ledger_counts_tokens_and_money():
    with RecordedModel(RECORDING) as server:
        priced, unpriced = extractor(server), extractor(server, "house-model")
        priced.extract(TURNS)
        unpriced.extract(TURNS)
    sent = sum(len(m["content"].split()) for m in server.requests[0]["messages"])
    use = priced.ledger.snapshot()["gpt-4o-mini"]
    assert (use.requests, use.failures, use.prompt_tokens) == (1, 0, sent)
    assert use.completion_tokens > 0
    assert use.cost_usd == pytest.approx(sent * 0.15e-6 + use.completion_tokens * 0.6e-6)
    use = unpriced.ledger.snapshot()["house-model"]
    assert (use.cost_usd, use.unpriced, use.prompt_tokens) == (0.0, 1, sent)


def test_the_name_tells_models_apart():
    assert LlmExtractor("a").name != LlmExtractor("b").name
    with pytest.raises(InvalidSetting, match="extraction_model"):
        LlmExtractor("")


def test_a_recording_can_be_a_file(tmp_path):
    path = tmp_path / "recording.json"
    path.write_text(json.dumps({"turns": RECORDING}))
    with RecordedModel.of(path) as server:
        assert len(extractor(server).extract(TURNS)[0].claims) == 1


def test_without_litellm_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "litellm", None)
    with pytest.raises(MissingDependency, match=r"memos\[llm\]"):
        LlmExtractor("m").extract(TURNS)


def test_nothing_heavy_is_loaded_before_it_is_needed():
    code = (
        "import sys, memos.extraction.llm as l; l.LlmExtractor('m');"
        "print({'litellm', 'torch', 'spacy', 'openai'} & set(sys.modules))"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout.strip() == "set()"
