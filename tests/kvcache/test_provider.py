"""The local model through litellm, as any of its users would call it."""

import asyncio
import sys

import pytest

from memos.errors import MissingDependency
from memos.kvcache.generator import provider
from memos.kvcache.generator.generator import LocalGenerator
from memos.kvcache.generator.request import Options
from memos.kvcache.reuse.prefix import PrefixReuse
from tests.kvcache import local_models as local

MODEL = "memos-local/tiny/llama"
ASK = [{"role": "user", "content": "Who keeps the light?"}]


@pytest.fixture
def litellm():
    litellm = pytest.importorskip("litellm")
    loaded = []

    def load(name):
        loaded.append(name)
        assert name == "tiny/llama"
        return LocalGenerator(PrefixReuse(local.tiny()))

    before = litellm.custom_provider_map
    provider.register(load)
    yield litellm
    litellm.custom_provider_map = before
    assert len(loaded) <= 1


@pytest.fixture
def expected():
    return LocalGenerator(PrefixReuse(local.tiny())).generate(ASK, Options(max_new_tokens=12))


def test_a_completion(litellm, expected):
    answer = litellm.completion(model=MODEL, messages=ASK, max_tokens=12)
    assert answer.choices[0].message.content == expected.text
    assert answer.choices[0].finish_reason == expected.finish
    assert answer.usage.prompt_tokens == expected.prompt_tokens
    assert answer.usage.completion_tokens == len(expected.tokens)


def test_a_stream(litellm, expected):
    chunks = list(litellm.completion(model=MODEL, messages=ASK, max_tokens=12, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == expected.text
    assert chunks[-1].choices[0].finish_reason == expected.finish


def test_both_asynchronously(litellm, expected):
    async def whole():
        return await litellm.acompletion(model=MODEL, messages=ASK, max_tokens=12)

    async def pieces():
        stream = await litellm.acompletion(model=MODEL, messages=ASK, max_tokens=12, stream=True)
        return [chunk.choices[0].delta.content or "" async for chunk in stream]

    assert asyncio.run(whole()).choices[0].message.content == expected.text
    assert "".join(asyncio.run(pieces())) == expected.text


def test_parameters_reach_the_generator(litellm, expected):
    stop = expected.text[4:6]
    cut = litellm.completion(model=MODEL, messages=ASK, max_tokens=12, stop=[stop])
    assert cut.choices[0].message.content == expected.text[: expected.text.index(stop)]
    drawn = [
        litellm.completion(
            model=MODEL, messages=ASK, max_tokens=12, temperature=1.5, seed=5
        ).choices[0].message.content
        for _ in range(2)
    ]  # fmt: skip
    assert drawn[0] == drawn[1]


def test_a_refused_request_is_litellms_error(litellm):
    long = [{"role": "user", "content": "x" * 5000}]
    with pytest.raises(litellm.BadRequestError, match="reads 4096"):
        litellm.completion(model=MODEL, messages=long)
    with pytest.raises(litellm.BadRequestError, match="reads 4096"):
        list(litellm.completion(model=MODEL, messages=long, stream=True))


def test_parts_of_text_are_joined_and_images_refused(litellm, expected):
    parts = [{"type": "text", "text": "Who keeps "}, {"type": "text", "text": "the light?"}]
    answer = litellm.completion(
        model=MODEL, messages=[{"role": "user", "content": parts}], max_tokens=12
    )
    assert answer.choices[0].message.content == expected.text
    image = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
    with pytest.raises(litellm.BadRequestError, match="text only"):
        litellm.completion(model=MODEL, messages=[{"role": "user", "content": image}])


def test_other_providers_stay(litellm):
    litellm.custom_provider_map = [
        {"provider": "other", "custom_handler": None},
        *litellm.custom_provider_map,
    ]
    provider.register(lambda name: LocalGenerator(PrefixReuse(local.tiny())))
    names = [entry["provider"] for entry in litellm.custom_provider_map]
    assert names == ["other", "memos-local"]


def test_without_litellm_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "litellm", None)
    with pytest.raises(MissingDependency, match=r"memos-engine\[llm\]"):
        provider.register(lambda name: None)
