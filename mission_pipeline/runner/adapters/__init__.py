"""Calls agents: one adapter per way to reach one. An adapter gives an answer or an ``AgentFault``, and no third thing.

To add a way to reach agents: a module here with a class that has ``call``, its kind in ``adapter_for``, and its form
and what the policy allows of it in ``runner/endpoints.py``. An agent protocol such as A2A fits in as one more kind:
``call`` would send the request as a message, follow the task that it starts until it ends or the time is over, and
return its artifact as the answer; the idempotency key is the message's id. Nothing else would change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from mission_pipeline.policy import Policy
from mission_pipeline.runner.endpoints import EndpointFault, arguments_of, callable_of, check_endpoint, url_of
from mission_pipeline.runner.model import Agent, AgentFault, Answer, Claim


class Adapter(Protocol):
    """A way to reach one agent. Threads may share it."""

    def call(self, request: Mapping[str, Any], *, timeout_seconds: float) -> Answer:
        """Hand a request to the agent and return its answer.

        Args:
            request: as ``request_for`` makes it; ``key`` is the idempotency key.
            timeout_seconds: for the whole call, whatever the agent does.

        Raises:
            AgentFault: there was no good answer; the text is one sentence that names the agent. Nothing else is raised.

        """
        ...


def adapter_for(agent: Agent, policy: Policy) -> Adapter:
    """Return the adapter of an agent.

    Args:
        agent: with its endpoint.
        policy: ``[runner]`` says what may be called, and how large an answer may be.

    Raises:
        AgentFault: it has no endpoint, or one that is wrong or not allowed.

    """
    if agent.endpoint is None:
        raise AgentFault(f"Agent {agent.agent_id} cannot be called: it has no endpoint.")
    max_bytes = policy.runner.max_answer_bytes
    try:
        match check_endpoint(agent.endpoint, policy):
            case "python":
                from mission_pipeline.runner.adapters.python import PythonAdapter

                return PythonAdapter(agent.agent_id, callable_of(agent.endpoint, policy), max_bytes)
            case "command":
                from mission_pipeline.runner.adapters.command import CommandAdapter

                return CommandAdapter(agent.agent_id, arguments_of(agent.endpoint, policy), max_bytes)
            case _:
                from mission_pipeline.runner.adapters.http import HttpAdapter

                return HttpAdapter(agent.agent_id, url_of(agent.endpoint, policy), max_bytes)
    except EndpointFault as fault:
        raise AgentFault(f"Agent {agent.agent_id} cannot be called: it has an endpoint that {fault}.") from fault


def request_for(claim: Claim, rejection: str | None = None) -> dict[str, Any]:
    """Return the request of an attempt, ready for JSON.

    Args:
        claim: the attempt.
        rejection: why a person rejected the attempt before, if that is why there is another one.

    """
    return {
        "key": claim.key,
        "run_id": claim.run_id,
        "mission_id": claim.mission_id,
        "mission_name": claim.mission_name,
        "task_id": claim.task_id,
        "task_name": claim.task_name,
        "attempt": claim.attempt,
        "input": dict(claim.mission_input),
        "results": dict(claim.results),
        "rejection": rejection,
    }
