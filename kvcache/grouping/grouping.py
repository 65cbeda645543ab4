"""Requests that come one by one, from any thread, put together while they run.

One thread runs the model, as long as there is work, in rounds: requests that wait are read, those
of one reuse together; then each group makes one token for each of its requests. So a request joins
those that are under way between two of their tokens (iteration-level scheduling: Orca, Yu et al.,
OSDI 2022), and nobody waits for an answer to end. Long prompts are read in parts, between which the
others go on (Sarathi, Agrawal et al., 2023), so that they do not fall silent either. It does not
know how prompts are read.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence

from memos.errors import MemosError, ServiceUnavailable
from memos.kvcache.generator.ending import stopping
from memos.kvcache.generator.generator import Event, Prompt
from memos.kvcache.generator.request import Options
from memos.kvcache.grouping.group import Group, Request
from memos.kvcache.reuse.begun import Between
from memos.kvcache.reuse.prefix import PrefixReuse

log = logging.getLogger(__name__)


class Grouping:
    """At most `rows` requests go together; of more there are several groups, which take turns."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self._lock = threading.Lock()
        self._waiting: list[Request] = []
        self._reading: list[Request] = []
        self._groups: list[Group] = []
        self._thread: threading.Thread | None = None
        self._closed = False
        names = ("kv_grouped", "kv_grouped_late", "kv_group_failures", "kv_passes", "kv_pass_rows")
        self._counts = dict.fromkeys(names, 0)

    def stream(self, reuse: PrefixReuse, prompt: Prompt, options: Options) -> Iterator[Event]:
        """The answer as it comes, as `LocalGenerator.stream`; the same as it would be alone, up to
        rounding. Closing the iterator frees the row.

        InvalidInput at once for a prompt that can't be run; ServiceUnavailable once closed.
        """
        model = reuse.model
        tokens = model.tokens(prompt) if isinstance(prompt, str) else model.chat_tokens(prompt)
        model.check(tokens)
        return self._told(reuse, tokens, options)

    def _told(self, reuse: PrefixReuse, tokens: Sequence[int], options: Options) -> Iterator[Event]:
        request = Request(reuse, tokens, options)
        self._submit(request)
        try:
            while not isinstance(piece := request.pieces.get(), Exception):
                yield piece
                if piece.done is not None:
                    return
            raise piece
        finally:
            request.gone = True

    def stats(self) -> Mapping[str, float]:
        """`kv_answering`: requests that wait or run now. Since the start: requests that shared a
        forward pass with others, how often one was put beside others at work, how often several
        failed together and went on apart, and passes that made tokens of answers, with the rows of
        each added up."""
        with self._lock:
            under_way = [one for group in self._groups for one in group.requests]
            known = [*self._waiting, *self._reading, *under_way]
            return {"kv_answering": sum(one.live for one in known), **self._counts}

    def close(self) -> None:
        """Ends what is under way with ServiceUnavailable, and the thread."""
        with self._lock:
            self._closed = True
            thread = self._thread
        if thread is not None:
            thread.join()

    def _submit(self, request: Request) -> None:
        with self._lock:
            if self._closed:
                raise stopping()
            self._waiting.append(request)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="answers", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while self._more():
            try:
                self._round()
            except ServiceUnavailable as error:
                self._end(error)
            except Exception as error:  # nobody may wait for ever, whatever it is
                log.exception("requests under way have failed")
                self._end(error)
        if self._closed:
            self._end(stopping())

    def _more(self) -> bool:
        """Whether there is work; if not, the next request starts a thread of its own."""
        with self._lock:
            self._groups = [group for group in self._groups if group.requests]
            if self._closed or not (self._waiting or self._groups):
                self._thread = None
                return False
            return True

    def _round(self) -> None:
        """Read, put together, go on."""
        for requests in self._next():
            self._begin(requests, self._meanwhile if self._groups else None)
        self._unite()
        self._go_on()

    def _meanwhile(self) -> None:
        """Between two parts of a prompt: who comes with a short one is read, and all under way go
        on."""
        for requests in self._next(short=True):
            self._begin(requests)
        self._unite()
        self._go_on()

    def _go_on(self) -> None:
        """One token more for all that are under way."""
        for group in [group for group in self._groups if group.requests]:
            self._step(group)

    def _next(self, *, short: bool = False) -> list[list[Request]]:
        """Of each reuse as many as go together: those under way wait for no more than that between
        two tokens. `short`: only those that are read in one part."""
        taken: dict[PrefixReuse, list[Request]] = {}
        with self._lock:
            waiting, self._waiting = self._waiting, []
            for request in waiting:
                chosen = taken.setdefault(request.reuse, [])
                late = short and len(request.tokens) > request.reuse.part_tokens
                if late or len(chosen) == self.rows:
                    self._waiting.append(request)
                elif request.live:
                    chosen.append(request)
            self._reading += [request for chosen in taken.values() for request in chosen]
        return [requests for requests in taken.values() if requests]

    def _begin(self, requests: Sequence[Request], between: Between | None = None) -> None:
        """One group of them, read in parts if others go on `between` them. If they can't be read,
        each by itself, so that only those fail that are the reason."""
        reuse = requests[0].reuse
        beside = [one for group in self._of(reuse) for one in group.beside()]
        try:
            group = Group(requests, beside, between)
        except Exception as error:
            if len(requests) == 1:
                requests[0].fail(error)
                self._read(requests)
                return
            self._failed(f"{len(requests)} requests are read one by one", error)
            for request in requests:
                self._begin([request], between)
            return
        self._read(requests, group)
        self._note(group.requests)

    def _read(self, requests: Sequence[Request], *groups: Group) -> None:
        with self._lock:
            self._reading = [one for one in self._reading if one not in requests]
            self._groups += groups

    def _unite(self) -> None:
        """Groups that fit become one; the earlier goes on with the later's requests."""
        for group in list(self._groups):
            for later in self._of(group.reuse):
                both = len(group.requests) + len(later.requests)
                if later is not group and not (group.apart or later.apart) and both <= self.rows:
                    self._join(group, later)

    def _join(self, group: Group, later: Group) -> None:
        if not (group.requests and later.requests):
            return
        count = len(later.requests)
        try:
            group.join(later)
        except (
            Exception
        ) as error:  # nothing has changed: both can go on, and nobody else has to end
            self._failed("requests go on apart", error)
            later.apart = True
            return
        self._count(kv_grouped_late=count)
        self._note(group.requests)

    def _step(self, group: Group) -> None:
        """If the pass fails, whoever was in it goes on by itself."""
        try:
            rows = group.step()
        except Exception as error:
            failed, group.requests = group.requests, []
            if len(failed) == 1:
                failed[0].fail(error)
                return
            self._failed(f"{len(failed)} requests go on one by one", error)
            for request in failed:
                request.alone = True
                self._begin([request])
            return
        self._count(kv_passes=rows > 0, kv_pass_rows=rows)

    def _failed(self, what: str, error: Exception) -> None:
        """Counts it, and tells it: an error that has a name in a line, any other, which is a fault,
        with where it came from."""
        self._count(kv_group_failures=1)
        known = isinstance(error, MemosError)
        log.warning("%s: %s", what, error, exc_info=None if known else error)

    def _of(self, reuse: PrefixReuse) -> list[Group]:
        return [group for group in self._groups if group.reuse is reuse]

    def _note(self, requests: Sequence[Request]) -> None:
        """Counts those that are in company for the first time."""
        if len(requests) > 1:
            new = [request for request in requests if not request.grouped]
            for request in new:
                request.grouped = True
            self._count(kv_grouped=len(new))

    def _count(self, **more: int) -> None:
        with self._lock:
            for name, value in more.items():
                self._counts[name] += value

    def _end(self, error: Exception) -> None:
        with self._lock:
            under_way = [one for group in self._groups for one in group.requests]
            requests = [*self._waiting, *self._reading, *under_way]
            self._waiting, self._reading, self._groups = [], [], []
        for request in requests:
            request.fail(error)
