"""Calls agents by HTTP: POST of the request as JSON, the answer as JSON in a response of status 200.

Redirects are not followed and no proxy is asked, so that only a host is reached that the policy names.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from mission_pipeline.runner.adapters.answers import read_answer, shortened, too_large
from mission_pipeline.runner.model import AgentFault, Answer

_PRINTABLE_ASCII = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")


class HttpAdapter:
    """A URL, and how many bytes its answer may have."""

    def __init__(self, agent_id: str, url: str, max_bytes: int) -> None:
        self.agent_id = agent_id
        self.url = url
        self.max_bytes = max_bytes

    def call(self, request: Mapping[str, Any], *, timeout_seconds: float) -> Answer:
        """Post the request; the header ``Idempotency-Key`` has its key, percent-encoded where it is not ASCII.

        Raises:
            AgentFault: there was no good answer.

        """
        # A loop of its own, because only so the time limit holds for the whole call: httpx limits each read by itself,
        # and a server may go on forever a byte at a time.
        loop = asyncio.new_event_loop()
        try:
            content = loop.run_until_complete(asyncio.wait_for(self._post(request, timeout_seconds), timeout_seconds))
        except TimeoutError:
            sentence = f"Agent {self.agent_id} did not answer within {timeout_seconds:g} s."
            raise AgentFault(sentence, "timed_out") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            reason = shortened(str(error)).rstrip(".") or type(error).__name__
            raise AgentFault(f"Agent {self.agent_id} cannot be reached at {self.url}: {reason}.") from error
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())  # an answer that nobody reads to its end
            loop.close()
        return read_answer(self.agent_id, content)

    async def _post(self, request: Mapping[str, Any], timeout_seconds: float) -> bytes:
        url = httpx.URL(self.url)
        if url.host != urlsplit(self.url).hostname:
            raise AgentFault(f"Agent {self.agent_id} cannot be called: its URL names no host that is read one way.")
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",  # an answer that unpacks to more than it seems is not worth having
            "Idempotency-Key": quote(str(request["key"]), safe=_PRINTABLE_ASCII),
        }
        client = httpx.AsyncClient(
            verify=_tls() if url.scheme == "https" else False,
            trust_env=False,
            follow_redirects=False,
            timeout=timeout_seconds,
        )
        body = json.dumps(request).encode("ascii")
        async with client, client.stream("POST", url, content=body, headers=headers) as response:
            if response.is_redirect:
                raise AgentFault(f"Agent {self.agent_id} sent the call elsewhere (status {response.status_code}), "
                                 "which is not followed.")  # fmt: skip
            if "content-encoding" in response.headers:
                raise AgentFault(f"Agent {self.agent_id} gave a bad answer: it is compressed, which was not asked for.")
            content = await self._bounded(response)
        if response.status_code != httpx.codes.OK:
            said = shortened(content.decode("utf-8", "replace"))
            raise AgentFault(
                f"Agent {self.agent_id} answered with status {response.status_code}{': ' if said else '.'}{said}"
            )
        return content

    async def _bounded(self, response: httpx.Response) -> bytes:
        content = bytearray()
        async for chunk in response.aiter_raw():
            content += chunk
            if len(content) > self.max_bytes:
                raise too_large(self.agent_id, self.max_bytes)
        return bytes(content)


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()  # made once: reading the certificates takes longer than a call
