"""Answers: greedy and drawn, whole and in pieces, alone and in batches."""

import copy

import pytest

from memos.errors import InvalidInput
from memos.kvcache.generator.generator import LocalGenerator
from memos.kvcache.generator.request import Options
from memos.kvcache.generator.text import TextStream
from memos.kvcache.reuse.prefix import PrefixReuse
from tests.kvcache import local_models as local

PROMPTS = [
    "The keeper of the lighthouse wrote in her book every night: the wind is from",
    "The keeper of the lighthouse wrote in her book every night: no ship",
    "Ships",
    "A prompt that has nothing to do with the others, and is longer than all of them by far.",
    "The keeper of the lighthouse wrote",
]


def generator(kind="llama", **options):
    return LocalGenerator(PrefixReuse(local.tiny(kind)), **options)


@pytest.mark.parametrize("kind", ["llama", "gemma3", "mistral", "lfm2", "falcon_h1"])
def test_a_batch_answers_as_each_prompt_alone(kind):
    model, made = local.tiny(kind), generator(kind)
    options = Options(max_new_tokens=16)
    for prompt, answer in zip(PROMPTS, made.generate_many(PROMPTS, options), strict=True):
        expected = local.greedy(model, model.tokens(prompt), 16)
        end = expected.index(257) + 1 if 257 in expected else 16
        assert list(answer.tokens) == expected[:end]
        assert answer.prompt_tokens == len(model.tokens(prompt))


def test_a_seed_gives_the_same_answer_whatever_runs_beside_it():
    made = generator()
    options = [
        Options(max_new_tokens=12, temperature=0.9, top_p=0.95, top_k=40, seed=n)
        for n in range(len(PROMPTS))
    ]
    together = made.generate_many(PROMPTS, options)
    for prompt, option, answer in zip(PROMPTS, options, together, strict=True):
        assert made.generate(prompt, option).tokens == answer.tokens
    again = made.generate(PROMPTS[0], Options(max_new_tokens=12, temperature=0.9, seed=99))
    assert again.tokens != together[0].tokens


def test_without_a_seed_answers_differ():
    made, free = generator(), Options(max_new_tokens=16, temperature=2.0)
    assert len({made.generate("Ships", free).tokens for _ in range(4)}) > 1


def test_top_k_one_is_greedy():
    made = generator()
    drawn = made.generate("Ships", Options(max_new_tokens=8, temperature=5.0, top_k=1, seed=1))
    assert drawn.tokens == made.generate("Ships", Options(max_new_tokens=8)).tokens


@pytest.mark.parametrize("temperature", [5e-324, 1e-308, 1e-40, 1e-6])
def test_next_to_no_temperature_is_greedy(temperature):
    made = generator()
    drawn = made.generate("Ships", Options(max_new_tokens=8, temperature=temperature, seed=1))
    assert drawn.tokens == made.generate("Ships", Options(max_new_tokens=8)).tokens


def test_pieces_make_up_the_answer():
    made = generator()
    events = list(made.stream(PROMPTS[0], Options(max_new_tokens=20, seed=1, temperature=1.0)))
    done = events[-1].done
    assert done is not None
    assert "".join(event.text for event in events) == done.text
    assert all(event.done is None for event in events[:-1])
    assert 0 < done.ttft_s <= done.total_s
    assert len(done.tokens) <= 20


def test_answers_of_more_prompts_than_rows_keep_their_order():
    made = generator(rows=2)
    options = Options(max_new_tokens=5)
    answers = made.generate_many(PROMPTS, options)
    assert [a.tokens for a in answers] == [made.generate(p, options).tokens for p in PROMPTS]


def test_answers_of_a_batch_end_each_in_their_own_time():
    made = generator()
    options = [Options(max_new_tokens=n) for n in (1, 9, 3, 6, 2)]
    for prompt, option, answer in zip(
        PROMPTS, options, made.generate_many(PROMPTS, options), strict=True
    ):
        assert answer.tokens == made.generate(prompt, option).tokens
        assert answer.finish == ("stop" if 257 in answer.tokens else "length")


def test_a_stop_string_across_tokens_ends_the_answer():
    made = generator()
    whole = made.generate(PROMPTS[0], Options(max_new_tokens=20)).text
    middle = whole[5:8]
    cut = made.generate(PROMPTS[0], Options(max_new_tokens=20, stop=(middle,)))
    assert cut.text == whole[: whole.index(middle)]
    assert cut.finish == "stop"


def test_the_end_of_the_context_ends_the_answer():
    model = local.tiny()
    prompt = "x" * (model.context - 3)
    answer = generator().generate(prompt, Options(max_new_tokens=50))
    assert len(answer.tokens) <= 3
    with pytest.raises(InvalidInput, match="reads 4096"):
        generator().generate("x" * (model.context + 1))


def test_messages_go_through_the_template():
    model = local.tiny()
    messages = [{"role": "user", "content": "Who?"}]
    assert model.chat(messages) == "[user] Who?<eos>[assistant]"
    assert model.chat_tokens(messages, answer=False)[-1] == 257
    done = generator().generate(messages, Options(max_new_tokens=2))
    assert done.prompt_tokens == len(model.chat_tokens(messages))


def test_what_a_template_refuses_or_is_missing_is_told(monkeypatch):
    model = local.tiny()
    monkeypatch.setattr(model, "tokenizer", copy.deepcopy(model.tokenizer))
    model.tokenizer.chat_template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(InvalidInput, match="refuses the messages: roles must alternate"):
        model.chat([{"role": "user", "content": "Who?"}])
    model.tokenizer.chat_template = None
    with pytest.raises(InvalidInput, match="give a prompt as text"):
        model.chat([{"role": "user", "content": "Who?"}])


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_new_tokens": 0},
        {"temperature": -1},
        {"temperature": float("nan")},
        {"top_p": 0},
        {"top_p": 1.5},
        {"top_k": -1},
        {"stop": ("",)},
        {"stop": ("x" * 500,)},
    ],
)
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(InvalidInput):
        Options(**wrong)


def test_options_must_fit_the_prompts():
    with pytest.raises(InvalidInput, match="2 options for 1"):
        generator().generate_many(["a"], [Options(), Options()])
    with pytest.raises(InvalidInput, match="remember"):
        generator(remember="sometimes")
    assert generator().generate_many([]) == []


TEXTS = ["plain", "naïve café", "日本語のテキスト", "😀🎉🚀 done", "a\n\nb", "👩\u200d👩\u200d👧"]


@pytest.mark.parametrize("text", TEXTS)
def test_text_comes_in_whole_characters(text):
    tokenizer = local.byte_tokenizer()
    stream = TextStream(tokenizer)
    pieces = [stream.add(token) for token in tokenizer(text)["input_ids"]] + [stream.finish()]
    assert "".join(pieces) == stream.text == text
    assert not any("\ufffd" in piece for piece in pieces)


def test_half_a_character_at_the_end_is_shown_as_such():
    tokenizer = local.byte_tokenizer()
    stream = TextStream(tokenizer)
    for token in tokenizer("ok 😀")["input_ids"][:-1]:
        stream.add(token)
    assert stream.text == "ok "
    stream.finish()
    assert stream.text == "ok \ufffd"


def test_text_that_may_begin_a_stop_string_is_held_back():
    tokenizer = local.byte_tokenizer()
    stream = TextStream(tokenizer, stop=("</end>", "STOP"))
    shown = ""
    for token in tokenizer("a </en b ST x </end> never")["input_ids"]:
        shown += stream.add(token)
        assert not shown.endswith(("<", "</en", "ST"))
    assert stream.stopped
    assert shown + stream.finish() == "a </en b ST x "


@pytest.mark.slow
def test_the_default_model_knows_a_capital():
    made = LocalGenerator(PrefixReuse(local.real()))
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    answer = made.generate(messages, Options(max_new_tokens=20))
    assert answer.text == "The capital of France is Paris."
    assert answer.finish == "stop"
