"""A language model that answers badly, or not at all, seen from the memories it was to read."""

import pytest

from memos.api.metrics import Metrics
from memos.assembly import build
from memos.config import load
from memos.testing import HashEmbedder, RecordedModel
from memos.types import JobState, Message

TEXT = "I moved to Bern last year."
RECORDING = {
    TEXT: {
        "mentions": [{"name": "Bern", "type": "city", "text": "Bern"}],
        "claims": [
            {
                "subject": {"name": "Anna", "type": "person"},
                "predicate": "lives_in",
                "object": {"name": "Bern", "type": "city"},
                "since": {"at": "2023", "granularity": "year"},
                "text": TEXT,
            }
        ],
    }
}


class Told:
    """A memory told to a service whose model misbehaves, and the clock of both."""

    def __init__(self, memos, service, server, clock):
        self.memos, self.service, self.server, self.clock = memos, service, server, clock
        self.memory = memos.add(Message(content=TEXT, speaker="Anna")).memories[0]

    def read(self, **time):
        self.clock.forward(**(time or {"seconds": 2}))
        self.service.worker.drain()

    def job(self, kind):
        [job] = [job for job in self.memos.jobs(limit=100).items if job.kind == kind]
        return job

    def homes(self):
        return [fact.object.name for fact in self.memos.facts(predicate="lives_in").items]

    def is_kept(self):
        assert self.memos.get(self.memory.id) == self.memory
        assert self.memos.search("Bern").hits[0].memory.id == self.memory.id
        assert self.homes() == []

    def recovers(self):
        self.server._always = "ok"
        # However long a good answer takes here, it is not given up.
        self.service.extractor._inner._extractor._provider._timeout = 60
        for _ in range(4):
            self.read(minutes=10)
        assert self.homes() == ["Bern"]


@pytest.fixture
def told(request, clock, tmp_path):
    with RecordedModel(RECORDING, always=request.param) as server:
        settings = load(
            data_dir=tmp_path,
            extraction="llm",
            extraction_model="gpt-4o-mini",
            extraction_url=server.url,
            extraction_key="k",
            extraction_attempts=1,
            # The client's first use imports for seconds, and those count.
            extraction_seconds=1 if request.param in ("hang", "trickle") else 60,
        )
        service = build(settings, embedder=HashEmbedder(), clock=clock)
        yield Told(service.tenant(), service, server, clock)
        service.close()


@pytest.mark.parametrize("told", ["ok"], indirect=True)
def test_a_good_model_gives_facts(told):
    told.read()
    assert told.homes() == ["Bern"]
    [fact] = told.memos.facts(subject="Anna").items
    assert fact.sources[0].extractor == "llm-1:gpt-4o-mini"
    use = told.service.metrics_snapshot()["model_use"]["gpt-4o-mini"]
    assert use.requests == 1
    assert use.failures == 0
    assert use.prompt_tokens > 0
    assert use.cost_usd > 0
    text = Metrics(told.service.metrics_snapshot).exposition().decode()
    assert 'memos_model_requests_total{model="gpt-4o-mini"} 1.0' in text
    assert f'memos_model_prompt_tokens_total{{model="gpt-4o-mini"}} {use.prompt_tokens}.0' in text
    assert told.memos.doctor() == ()


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("prose", "not JSON"),
        ("invalid_json", "not JSON"),
        ("wrong_schema", "does not follow the schema"),
        ("empty", "empty answer"),
        ("missing_turn", "missing"),
    ],
    indirect=["told"],
)
def test_an_answer_of_no_use_is_a_failed_job_of_that_memory(told, reason):
    told.read()
    assert told.job("extract").state is JobState.SUCCEEDED
    told.read()
    job = told.job("extract_one")
    assert job.state is JobState.FAILED
    assert job.error.startswith("ExtractorAnswer: ")
    assert reason in job.error
    told.is_kept()
    told.recovers()


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("hang", "no whole answer within 1 s"),
        ("trickle", "no whole answer within 1 s"),
        ("500", "HTTP 500"),
        ("disconnect", "onnection error"),
        ("401", "check extraction_key"),
    ],
    indirect=["told"],
)
def test_no_answer_is_a_failed_job_and_nothing_counts_as_read(told, reason):
    told.read()
    job = told.job("extract")
    assert job.state is JobState.FAILED
    assert job.error.startswith("ExtractorUnavailable: ")
    assert reason in job.error
    told.is_kept()
    cube = told.memos.cube("default")
    assert len(told.service.stores.graph.unread(cube.id, "llm-1:gpt-4o-mini", limit=9)) == 1
    told.recovers()


TALK = ("The kiln broke on Friday.", "Anna mended the kiln.", "The kiln works again.")
WORDS = {TALK[1]: {"summary": "Anna mended the kiln, which had broken on a Friday."}}


def test_a_model_writes_summaries_once_and_its_failure_is_a_failed_job(clock, tmp_path):
    with RecordedModel(WORDS, always="ok") as server:
        settings = load(
            data_dir=tmp_path,
            extraction="llm",
            extraction_model="gpt-4o-mini",
            extraction_url=server.url,
            extraction_key="k",
            extraction_attempts=1,
        )
        service = build(settings, embedder=HashEmbedder(), clock=clock)
        memos = service.tenant()

        def slept(state=JobState.SUCCEEDED):
            """How many requests it took."""
            before = len(server.requests)
            memos.consolidate()
            # Only these jobs: the others ask the model too.
            for kind in ("consolidate", "summarise"):
                service.worker.run_batch([kind])
            job = next(job for job in memos.jobs(limit=99).items if job.kind == "summarise")
            assert job.state is state
            return len(server.requests) - before

        turns = memos.add([Message(content=text) for text in TALK], session_id="s").memories
        [planned] = memos.plan().items
        assert planned.text == "to be written by llm-1:gpt-4o-mini"
        assert server.requests == [], "a dry run asks nobody"
        server._always = "500"
        assert slept(JobState.FAILED) == 1
        assert memos.summaries().items == ()
        clock.forward(minutes=10)
        server._always = "ok"
        assert slept() == 1
        [summary] = memos.summaries().items
        assert summary.text.endswith(WORDS[TALK[1]]["summary"])
        assert (summary.method, summary.memory_ids) == (
            "llm-1:gpt-4o-mini",
            tuple(turn.id for turn in turns),
        )
        assert slept() == 0, "the same turns are not told twice"
        memos.erase(turns[2].id)
        assert memos.summaries().items == (), "what of it is in the text, nobody knows"
        service.close()
