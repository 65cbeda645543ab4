"""The local model as a provider of litellm: `memos-local/<model>` wherever a model can be named.

litellm is an extra. Models are loaded at their first request, by a function that is given.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

from memos.errors import InvalidInput, MemosError, MissingDependency
from memos.kvcache.generator.generator import Event, LocalGenerator
from memos.kvcache.generator.request import Generation, Options

NAME = "memos-local"

Load = Callable[[str], LocalGenerator]


class Requests:
    """litellm's requests turned into the generator's. Knows no class of litellm."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._loaded: dict[str, LocalGenerator] = {}
        self._lock = threading.Lock()

    def events(self, model: str, messages: Any, params: Mapping[str, Any]) -> Iterator[Event]:
        """Pieces of the answer. MemosErrors of loading and of the request."""
        return self._generator(model).stream(_messages(messages), options(params))

    def answer(self, model: str, messages: Any, params: Mapping[str, Any]) -> Generation:
        """The whole answer."""
        return self._generator(model).generate(_messages(messages), options(params))

    def _generator(self, model: str) -> LocalGenerator:
        name = model.removeprefix(f"{NAME}/")
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = self._load(name)
            return self._loaded[name]


def options(params: Mapping[str, Any]) -> Options:
    """OpenAI's parameters as options; those that mean nothing here are ignored.

    Like there, an answer is drawn at temperature 1 only if one asks for a temperature; the default
    is the likeliest answer.
    """
    stop = params.get("stop") or ()
    most = params.get("max_completion_tokens") or params.get("max_tokens")
    given: dict[str, Any] = {
        "max_new_tokens": most,
        "temperature": params.get("temperature"),
        "top_p": params.get("top_p"),
        "top_k": params.get("top_k"),
        "seed": params.get("seed"),
        "stop": (stop,) if isinstance(stop, str) else tuple(stop),
    }
    return Options(**{name: value for name, value in given.items() if value is not None})


def _messages(messages: Any) -> list[dict[str, str]]:
    """Messages with their content as text; InvalidInput for images and other parts."""
    found = []
    for message in messages:
        content = message.get("content") or ""
        if not isinstance(content, str):
            if any(part.get("type") != "text" for part in content):
                raise InvalidInput("the local model reads text only; leave out other parts")
            content = "".join(part["text"] for part in content)
        found.append({"role": str(message["role"]), "content": content})
    return found


def register(load: Load) -> None:
    """Makes litellm know `memos-local/<model>`; `load` gets the part after the slash, once.

    Registering again replaces the former. MissingDependency without litellm.
    """
    # Its import would ask the network for a list of prices.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    try:
        import litellm
    except ImportError as error:
        raise MissingDependency(
            "the provider memos-local needs litellm; run `pip install 'memos-engine[llm]'`"
        ) from error
    others = [entry for entry in litellm.custom_provider_map if entry["provider"] != NAME]
    litellm.custom_provider_map = [
        *others,
        {"provider": NAME, "custom_handler": _handler(Requests(load))},
    ]


def _handler(requests: Requests) -> Any:
    """A CustomLLM of litellm; the class is made here since its base is imported here."""
    litellm: Any = importlib.import_module("litellm")

    def told(error: MemosError, model: str) -> Exception:
        """litellm's own kinds, which it passes on as they are."""
        if isinstance(error, InvalidInput):
            bad: Exception = litellm.BadRequestError(error.message, model=model, llm_provider=NAME)
            return bad
        failed: Exception = litellm.APIError(500, error.message, llm_provider=NAME, model=model)
        return failed

    class Handler(litellm.CustomLLM):  # type: ignore[misc]
        def completion(self, *_: Any, **given: Any) -> Any:
            try:
                done = requests.answer(given["model"], given["messages"], given["optional_params"])
            except MemosError as error:
                raise told(error, given["model"]) from error
            return _response(given["model_response"], given["model"], done)

        def streaming(self, *_: Any, **given: Any) -> Iterator[dict[str, Any]]:
            try:
                for event in requests.events(
                    given["model"], given["messages"], given["optional_params"]
                ):
                    yield _chunk(event)
            except MemosError as error:
                raise told(error, given["model"]) from error

        async def acompletion(self, *_: Any, **given: Any) -> Any:
            return await asyncio.to_thread(self.completion, **given)

        async def astreaming(self, *_: Any, **given: Any) -> AsyncIterator[dict[str, Any]]:
            pieces = self.streaming(**given)
            while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
                yield piece

    return Handler()


def _response(response: Any, model: str, done: Generation) -> Any:
    """litellm's own response object, filled in."""
    from litellm import Choices, Message, Usage

    response.choices = [
        Choices(
            index=0,
            finish_reason=done.finish,
            message=Message(role="assistant", content=done.text),
        )
    ]
    response.model = model
    response.created = int(time.time())
    response.usage = Usage(**_usage(done))
    return response


def _chunk(event: Event) -> dict[str, Any]:
    done = event.done
    return {
        "index": 0,
        "text": event.text,
        "tool_use": None,
        "is_finished": done is not None,
        "finish_reason": done.finish if done is not None else "",
        "usage": _usage(done) if done is not None else None,
    }


def _usage(done: Generation) -> dict[str, int]:
    return {
        "prompt_tokens": done.prompt_tokens,
        "completion_tokens": len(done.tokens),
        "total_tokens": done.prompt_tokens + len(done.tokens),
    }
