"""Where the work of requests is done: questions one after the other, those of a kind together; all else beside."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from bouba.serve.limits import Limits, Refusal

T = TypeVar("T")
TOGETHER = 32  # questions that are answered at once
READERS = 2  # threads that read the index and files
READS = 16  # times as many reads may wait as questions
QUICK = 0.025  # seconds of the processor up to which questions are answered where they arrive


@dataclass
class _Waiting:
    """A question: `kind` says which may be answered together, by `answer`, which takes a list of them; `cost` which of
    them cost alike, None for those that nobody can tell."""

    kind: Hashable
    answer: Callable[[Sequence[Any]], Sequence[Any]]
    question: Any
    cost: Hashable
    future: asyncio.Future[Any]


class Work:
    """One thread for models, so that no two of them compute at once, and some for what only reads.

    Questions that come while another is answered are put together where they are of one kind: a model embeds many at
    hardly more cost than one. Those that cost little are answered between two requests rather than beside them: only
    one thread of Python runs at a time, and what others do between two steps of an answer costs it more than it takes.
    """

    def __init__(self, limits: Limits):
        self.limits, self.under_way, self.reading = limits, 0, 0
        self._models, self._readers = _pools()
        self._waiting: deque[_Waiting] = deque()
        self._seconds: dict[Hashable, float] = {}  # of the processor, a question, by what costs alike
        self._task: asyncio.Task[None] | None = None

    def close(self) -> None:
        """Let the threads end; what waits is given up. An application that starts again has new ones."""
        for pool in (self._models, self._readers):
            pool.shutdown(wait=False, cancel_futures=True)
        self._models, self._readers = _pools()

    async def read(self, function: Callable[[], T]) -> T:
        """What a function that computes with no model gives. A page of results asks for dozens of pictures at once, so
        READS times as many may wait."""
        if self.reading >= READS * self.limits.waiting:
            raise Refusal(429, f"{self.reading} requests are being answered; try again in a second", 1)
        self.reading += 1
        future = asyncio.get_running_loop().run_in_executor(self._readers, function)
        future.add_done_callback(self._read)
        return await self._in_time(future)

    async def compute(self, function: Callable[[], T]) -> T:
        """What a function gives, on the thread of models."""
        return await self.together(object(), lambda questions: [function()], None)

    async def together(
        self,
        kind: Hashable,
        answer: Callable[[Sequence[Any]], Sequence[Any]],
        question: Any,
        *,
        cost: Hashable = None,
    ) -> Any:
        """The answer to a question, one an item of what `answer` gives for a list of questions of this kind.

        Args:
            cost: equal for questions that cost about the same; None where that is not known before.
        """
        self._enter()
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.add_done_callback(self._leave)
        self._waiting.append(_Waiting(kind, answer, question, cost, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._answer_all())
        return await self._in_time(future)

    def _enter(self) -> None:
        if self.under_way >= self.limits.waiting:
            raise Refusal(429, f"{self.under_way} questions are being answered; try again in a second", 1)
        self.under_way += 1

    def _read(self, future: asyncio.Future[Any]) -> None:
        self.reading -= 1
        if not future.cancelled():
            future.exception()

    def _leave(self, future: asyncio.Future[Any]) -> None:
        self.under_way -= 1
        if not future.cancelled():
            future.exception()  # it was seen, even where nobody waits any longer

    async def _in_time(self, future: asyncio.Future[T]) -> T:
        """The work itself cannot be broken off: it goes on, and counts, until it is done."""
        try:
            return await asyncio.wait_for(asyncio.shield(future), self.limits.query_seconds)
        except TimeoutError:
            raise Refusal(503, f"no answer within {self.limits.query_seconds:g} seconds; ask for less", 5) from None

    async def _answer_all(self) -> None:
        while self._waiting:
            first = self._waiting.popleft()
            some, most = [first], self._most(first.cost)
            while self._waiting and len(some) < (most or TOGETHER) and self._waiting[0].kind == first.kind:
                some.append(self._waiting.popleft())
            await self._answer(some, here=most > 0)
            await asyncio.sleep(0)  # others have their turn

    def _most(self, cost: Hashable) -> int:
        """How many questions are answered here at once; 0 for those that the thread of models answers."""
        seconds = self._seconds.get(cost, QUICK + 1)
        return min(int(QUICK / max(seconds, 1e-6)), TOGETHER)

    async def _answer(self, some: Sequence[_Waiting], *, here: bool = False) -> None:
        def timed() -> Sequence[Any]:
            started = time.thread_time()
            answers = some[0].answer([each.question for each in some])
            if some[0].cost is not None:
                spent = (time.thread_time() - started) / len(some)
                before = self._seconds.get(some[0].cost, spent)
                self._seconds[some[0].cost] = max(spent, (before + spent) / 2)
            return answers

        try:
            answers = timed() if here else await asyncio.get_running_loop().run_in_executor(self._models, timed)
        except Exception as error:
            if len(some) > 1:  # one of them is at fault: the others shall not suffer from it
                for each in some:
                    await self._answer([each])
                return
            some[0].future.set_exception(error)
            return
        for each, answer in zip(some, answers, strict=True):
            each.future.set_result(answer)


def _pools() -> tuple[ThreadPoolExecutor, ThreadPoolExecutor]:
    """Of the models and of the readers; their threads start with the first work."""
    return ThreadPoolExecutor(1, "models"), ThreadPoolExecutor(READERS, "readers")
