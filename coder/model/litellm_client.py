"""Models through litellm: the only module that imports it, and only when the first request is made.

litellm is asked asynchronously, once per attempt, on an event-loop thread; retries, deadline, and the reading of answers
are ours (`retry`, `transport`, `answer`).
"""

import asyncio
import gc
import importlib
import json
import os
import random
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self

import httpx
from pydantic import BaseModel, SecretStr

from coder.errors import ContextOverflowError, ModelError
from coder.model.answer import Judged, estimated_usage, judge, read_usage
from coder.model.failures import Failure
from coder.model.frames import PLACEHOLDER, Frames
from coder.model.gauge import CHARS_PER_TOKEN, TokenGauge, characters
from coder.model.loop import LoopThread
from coder.model.profile import ModelProfile
from coder.model.protocol import CompletionRequest
from coder.model.retry import MAX_TRIES, describe, pause_s
from coder.model.routes import litellm_arguments
from coder.model.transport import Dialect, Exchange, Settled, TapTransport
from coder.model.wire import HistoryEncoder
from coder.types import Completion, Usage

_STREAM_SILENCE_S = 180.0
"""Longest pause between two pieces of a stream; a provider's queue can be silent for two minutes."""
_CLOSE_S = 5.0
_NO_KEY = "none"
_NO_TOKENIZER = object()
"""In the place of tiktoken's tables (0.6 s and 30 MB), which litellm loads for answers that it would have to count itself."""
_DIALECTS: Mapping[str, Dialect] = {"anthropic": "anthropic", "openai_responses": "responses"}
_SDK_ROUTES = frozenset({"openai", "moonshot"})
"""Where litellm goes through the OpenAI SDK, which walks the whole history on each call."""

_IMPORT_ENVIRONMENT = {
    # Without these litellm reads a `.env` from the current folder, which may be a stranger's checkout, and asks the network
    # for price lists and news at import.
    "LITELLM_MODE": "PRODUCTION",
    "PYTHON_DOTENV_DISABLED": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOCAL_BLOG_POSTS": "True",
}


@dataclass(slots=True)
class _Question:
    """One `complete` under way."""

    request: CompletionRequest
    chars: int
    max_tokens: int
    deadline: float
    tries: int = 0
    lost_usd: float = 0.0
    """Paid for answers that broke off or were empty."""
    asked_again: bool = False
    """An empty answer was already met with a second request."""


class LitellmClient:
    """One model at one provider. Safe to share by threads; `close` it when done.

    `loop` may be shared by clients and then belongs to whoever made it. `proxy` is an HTTP proxy's URL and `ca_bundle` a
    file of certificates, where the provider is only reached so; nothing of the kind is read from the environment.
    """

    def __init__(
        self,
        profile: ModelProfile,
        api_key: SecretStr | str | None,
        *,
        loop: LoopThread | None = None,
        proxy: str | None = None,
        ca_bundle: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._profile = profile
        self._key = _usable_key(profile, api_key)
        self._owns_loop = loop is None
        self._loop = loop or LoopThread()
        self._proxy = proxy
        self._ca_bundle = ca_bundle
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._encoder = HistoryEncoder(profile)
        self._gauge = TokenGauge(profile)
        self._frames = Frames()
        self._wire: httpx.AsyncHTTPTransport | None = None
        self._lock = threading.Lock()

    @property
    def profile(self) -> ModelProfile:
        """What is known of the model."""
        return self._profile

    def warm_up(self) -> None:
        """Import litellm now (seconds of CPU), in a thread of the caller's, while something else is waited for."""
        _litellm()

    def close(self) -> None:
        """Close connections, and the loop if it is our own."""
        with self._lock:
            wire, self._wire = self._wire, None
        if wire is not None:
            self._loop.run(wire.aclose(), timeout_s=_CLOSE_S)
        if self._owns_loop:
            self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def complete(self, request: CompletionRequest) -> Completion:
        """The model's answer, asked for up to six times within the request's deadline.

        An answer without text and call is asked for once more. `usage` is of the answer returned; `cost_usd` also has what
        lost and empty answers before it cost.

        Raises:
            ContextOverflowError: The conversation is too long, for the window or for the provider's limit on a body.
            ModelError: It will not answer, or did not in time; the message says which, where, and what to do.
        """
        chars = characters(request.messages)
        question = _Question(
            request=request,
            chars=chars,
            max_tokens=self._gauge.room(request.cache_key, chars, request.max_output_tokens),
            deadline=self._clock() + request.deadline_s,
        )
        while True:
            question.tries += 1
            exchange = self._attempt(question)
            if exchange.answer is None:
                self._after_failure(exchange, question)
                continue
            judged = self._judged(exchange, request)
            usage = self._usage(exchange)
            self._gauge.learn(request.cache_key, chars, usage)
            cost_usd = self._profile.prices.cost_usd(usage) + question.lost_usd
            if judged.is_empty and self._may_ask_again(question):
                question.lost_usd = cost_usd
                question.asked_again = True
                question.max_tokens = self._gauge.room(request.cache_key, chars, 2 * question.max_tokens)
                continue
            return Completion(
                message=judged.message,
                finish_reason=judged.finish_reason,
                usage=usage,
                cost_usd=cost_usd,
                model=self._profile.model,
                request_id=exchange.answer.request_id,
            )

    def _judged(self, exchange: Exchange, request: CompletionRequest) -> Judged:
        assert exchange.answer is not None  # noqa: S101 -- for the type checker; the caller looked
        ids = [call.id for message in request.messages for call in message.tool_calls]
        names = frozenset(tool.name for tool in request.tools)
        return judge(exchange.answer, self._profile, tool_names=names, taken_ids=frozenset(ids), calls_before=len(ids))

    def _usage(self, exchange: Exchange) -> Usage:
        told = read_usage(exchange.answer.usage) if exchange.answer is not None else None
        sent, received = exchange.request_bytes, exchange.answer_bytes
        return told or estimated_usage(request_bytes=sent, answer_bytes=received)

    def _may_ask_again(self, question: _Question) -> bool:
        if question.asked_again or question.tries >= MAX_TRIES or self._clock() >= question.deadline:
            return False
        return self._is_affordable(question, 2 * question.max_tokens)

    def _is_affordable(self, question: _Question, max_tokens: int) -> bool:
        """Whether one attempt more stays within what the call may cost, whatever it answers."""
        usage = Usage(prompt_tokens=int(question.chars / CHARS_PER_TOKEN), completion_tokens=max_tokens)
        return question.lost_usd + self._profile.prices.cost_usd(usage) <= question.request.max_cost_usd

    def _attempt(self, question: _Question) -> Exchange:
        left_s = question.deadline - self._clock()
        silence_s = min(_STREAM_SILENCE_S, left_s) if self._profile.stream else left_s
        exchange = Exchange(
            dialect=_DIALECTS.get(self._profile.route, "openai"),
            stream=self._profile.stream,
            read_timeout_s=silence_s,
            max_body_bytes=self._profile.max_body_bytes,
        )
        if left_s <= 0:
            exchange.failure = Failure("deadline", "no time left")
            return exchange
        litellm = _litellm()
        try:
            self._loop.run(self._ask(litellm, question, exchange, left_s), timeout_s=left_s + _CLOSE_S)
        except TimeoutError:
            exchange.answer = None
            exchange.failure = Failure("deadline", f"no whole answer within {question.request.deadline_s:.0f} s")
        except Exception as exc:  # noqa: BLE001 -- litellm raises bare Exception too, and none of its errors may leave here
            if exchange.answer is None and exchange.failure is None:
                exchange.failure = Failure("params", f"litellm: {type(exc).__name__}: {exc}"[:300])
        return exchange

    async def _ask(self, litellm: Any, question: _Question, exchange: Exchange, left_s: float) -> None:
        run, tools, cap = question.request.cache_key, question.request.tools, question.max_tokens
        encoded = self._encoder.encode(question.request.messages, run)
        tap = TapTransport(self._inner(), exchange)
        if exchange.dialect != "anthropic":
            exchange.messages = encoded
            if (frame := self._frames.fitting(run, tools, cap)) is not None:
                await asyncio.wait_for(tap.send(frame, frame.body(encoded)), left_s)
                return
        arguments = litellm_arguments(
            self._profile,
            api_key=self._key.get_secret_value(),
            messages=json.loads(encoded) if exchange.messages is None else [dict(PLACEHOLDER)],
            tools=tools,
            max_tokens=cap,
            cache_key=run,
        )
        client = self._over(tap, litellm)
        with suppress(Settled):
            ask = litellm.aresponses if exchange.dialect == "responses" else litellm.acompletion
            await asyncio.wait_for(ask(client=client, timeout=left_s, **arguments), left_s)
        if exchange.frame is not None:
            self._frames.keep(run, tools, cap, exchange.frame)

    def _over(self, transport: httpx.AsyncBaseTransport, litellm: Any) -> Any:
        """The kind of client that litellm takes for this route, over `transport`."""
        if self._profile.route not in _SDK_ROUTES:
            handlers = litellm.llms.custom_httpx.http_handler
            return handlers.AsyncHTTPHandler(transport=transport, follow_redirects=False)
        return importlib.import_module("openai").AsyncOpenAI(
            api_key=self._key.get_secret_value(),
            base_url=self._profile.api_base,
            max_retries=0,
            http_client=httpx.AsyncClient(transport=transport, trust_env=False),
        )

    def _inner(self) -> httpx.AsyncHTTPTransport:
        with self._lock:
            if self._wire is None:
                context = httpx.create_ssl_context(verify=True)
                if self._ca_bundle is not None:
                    context.load_verify_locations(self._ca_bundle)
                self._wire = httpx.AsyncHTTPTransport(verify=context, proxy=self._proxy)
            return self._wire

    def _after_failure(self, exchange: Exchange, question: _Question) -> None:
        """Wait for the next try, or raise."""
        failure = exchange.failure or Failure("params", "litellm made no request that we saw")
        if exchange.began and exchange.answer_bytes:
            question.lost_usd += self._profile.prices.cost_usd(self._usage(exchange))
        pause = pause_s(failure, question.tries, jitter=self._jitter(), left_s=question.deadline - self._clock())
        if pause == "give up":
            secret = "" if self._key.get_secret_value() == _NO_KEY else self._key.get_secret_value()
            error = ContextOverflowError if failure.kind == "context" else ModelError
            raise error(describe(failure, self._profile, question.tries, secret=secret))
        if not self._is_affordable(question, question.max_tokens):
            raise ModelError(
                f"model profile {self._profile.name!r}: the last attempt failed, and another one could cost more than the "
                "run has left; raise limits.max_cost_usd and go on with the run"
            )
        self._sleep(pause)


def _usable_key(profile: ModelProfile, api_key: SecretStr | str | None) -> SecretStr:
    key = (api_key.get_secret_value() if isinstance(api_key, SecretStr) else api_key or "").strip()
    if not key and profile.key_required:
        raise ModelError(f"model profile {profile.name!r} needs a key: set {profile.api_key_env}")
    if not (key.isascii() and key.isprintable()):
        raise ModelError(f"the key in {profile.api_key_env} has characters that no key has; copy it again")
    return SecretStr(key or _NO_KEY)


def _litellm() -> Any:
    """The package, imported with the environment that keeps it off the network and out of the current folder."""
    with _IMPORTING:
        if "litellm" not in sys.modules:
            for name, value in _IMPORT_ENVIRONMENT.items():
                os.environ[name] = value
            with warnings.catch_warnings(), _lightly():
                warnings.simplefilter("ignore")
                litellm: Any = importlib.import_module("litellm")
                litellm.suppress_debug_info = True
                litellm.telemetry = False
                litellm.main.encoding = _NO_TOKENIZER
                litellm.ModelResponse()  # builds its pydantic models now rather than in the first call, with warnings
        importlib.import_module("litellm.llms.custom_httpx.http_handler")
        return importlib.import_module("litellm")


@contextmanager
def _lightly() -> Iterator[None]:
    """Import at three quarters of the price: no collections while nothing is garbage, no validators before they are used.

    Afterwards the collector leaves alone what was imported: walking two million objects again and again would cost each run.
    """
    config = BaseModel.model_config
    was_on, before = gc.isenabled(), config.get("defer_build", False)
    gc.disable()
    config["defer_build"] = True
    try:
        yield
    finally:
        config["defer_build"] = before
        gc.freeze()
        if was_on:
            gc.enable()


_IMPORTING = threading.Lock()
"""An import that warms up and the first call would otherwise meet half of the package."""
