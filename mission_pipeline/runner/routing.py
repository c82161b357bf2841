"""Which agent an attempt goes to: capability and availability first, then the figures of the published warehouse."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from mission_pipeline.errors import WarehouseFault
from mission_pipeline.policy import Policy
from mission_pipeline.runner.model import Agent, Choice, Claim
from mission_pipeline.warehouse import Warehouse

_ROUTING = "select task_id, agent_id, score, speed_score, quality_score, executions from marts.agent_routing"
_FILES = "select data_set, file, sha256 from quality.loaded_files order by data_set, file"
_VERSION_CHARACTERS = 16

Row = dict[str, Any]


@dataclass(frozen=True)
class _Figures:
    """What one published warehouse says. ``stamp``: of its file; ``fault``: why nothing could be read, if so."""

    stamp: tuple[int, int, int] | None
    by_task_and_agent: Mapping[tuple[str, str], Row]
    version: str | None
    fault: str | None = None


class Router:
    """Chooses agents; several threads may share one."""

    def __init__(self, warehouse: Warehouse, policy: Policy) -> None:
        self._warehouse = warehouse
        self._policy = policy
        self._lock = threading.Lock()
        self._figures = _Figures(None, {}, None)
        self._has_looked = False

    def choose(self, claim: Claim, agents: Mapping[str, Agent]) -> Choice | None:
        """Return the agent for an attempt, with why and with the scores of all that could be asked.

        Only agents that are able to do the task and available are asked. Of these, those with the fewest attempts at
        it so far come first, then the higher score, then the id. An attempt that was given to an agent before its
        worker died stays with it, so that the agent can tell by the key that it was asked before.

        Args:
            claim: the task and its attempt.
            agents: the registry as it is now.

        Returns:
            None when nobody can be asked now, or not the one to whom the attempt was given.

        """
        figures = self._current_figures()
        able = [agents[agent_id] for agent_id in claim.capable_agents if agent_id in agents]
        scores = self._ranked(claim, [agent.agent_id for agent in able if agent.is_available], figures)
        if claim.agent_id is not None:
            given = agents.get(claim.agent_id)
            if given is None or given.endpoint is None:
                return None
            reason = f"attempt {claim.attempt} was given to {given.agent_id} before its worker stopped"
            return Choice(given.agent_id, reason, tuple(scores), figures.version)
        if not scores:
            return None
        first, *others = sorted(scores, key=lambda row: (row["attempts"], row["rank"]))
        equally_tried = [row for row in others if row["attempts"] == first["attempts"]]
        explored = self._explored(claim, equally_tried)
        chosen = explored or first
        return Choice(
            chosen["agent_id"],
            _reason(chosen, len(scores), figures.fault, is_exploration=explored is not None),
            tuple(scores),
            figures.version,
            is_exploration=explored is not None,
        )

    def _ranked(self, claim: Claim, agent_ids: list[str], figures: _Figures) -> list[Row]:
        prior = self._prior(claim.mission_id)
        rows = []
        for agent_id in agent_ids:
            known = figures.by_task_and_agent.get((claim.task_id, agent_id))
            source = "prior" if known is None else "warehouse"
            attempts = claim.tried.count(agent_id)
            rows.append({"agent_id": agent_id, **(known or prior), "source": source, "attempts": attempts})
        rows.sort(key=lambda row: (-row["score"], row["agent_id"]))
        return [{"agent_id": row["agent_id"], "rank": rank, **row} for rank, row in enumerate(rows, start=1)]

    def _prior(self, mission_id: str) -> Row:
        routing = self._policy.for_mission(mission_id).routing
        score = routing.speed_weight * routing.prior_speed_score + routing.quality_weight * routing.prior_quality_score
        return {
            "score": min(score, 1.0),
            "speed_score": routing.prior_speed_score,
            "quality_score": routing.prior_quality_score,
            "executions": 0,
        }

    def _explored(self, claim: Claim, others: list[Row]) -> Row | None:
        """Return one of the others, in the share of attempts that the policy sets aside; the same for the same key."""
        exploration = self._policy.for_mission(claim.mission_id).runner.exploration
        if not others or exploration.share <= 0:
            return None
        seed = f"{exploration.seed}:{claim.run_id}:{claim.task_id}:{claim.attempt}"
        digest = hashlib.sha256(seed.encode("utf-8")).digest()
        if int.from_bytes(digest[:8]) >= exploration.share * 2**64:
            return None
        return others[int.from_bytes(digest[8:16]) % len(others)]

    def _current_figures(self) -> _Figures:
        # Under the lock also because DuckDB gives a process that holds the old file open the old file again.
        with self._lock:
            stamp = self._stamp()
            if not self._has_looked or stamp != self._figures.stamp:
                self._figures = self._read(stamp)
                self._has_looked = True
            return self._figures

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = self._warehouse.published_file.stat()
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

    def _read(self, stamp: tuple[int, int, int] | None) -> _Figures:
        if stamp is None:
            return _Figures(None, {}, None, "there is no warehouse yet")
        try:
            with self._warehouse.published() as connection:
                rows = connection.execute(_ROUTING).fetchall()
                files = connection.execute(_FILES).fetchall()
        except (WarehouseFault, duckdb.Error):
            # A run goes on without figures: it is the refresh that says what is wrong with the warehouse.
            return _Figures(stamp, {}, None, "the warehouse cannot be read")
        names = ("score", "speed_score", "quality_score", "executions")
        figures = {(task_id, agent_id): dict(zip(names, values, strict=True)) for task_id, agent_id, *values in rows}
        return _Figures(stamp, figures, self._version(files))

    def _version(self, files: list[tuple[str, str, str]]) -> str:
        lines = [*("\t".join(file) for file in files), self._policy.sha256]
        return hashlib.sha256("\n".join(lines).encode("utf-8")).hexdigest()[:_VERSION_CHARACTERS]


def _reason(chosen: Row, asked: int, fault: str | None, *, is_exploration: bool) -> str:
    """Return why an agent was chosen, without its name: rank, score and what they rest on."""
    place = "the only one available" if asked == 1 else f"rank {chosen['rank']} of {asked}"
    if chosen["source"] == "warehouse":
        executions = chosen["executions"]
        basis = f"score {chosen['score']:.2f} from {executions} execution{'' if executions == 1 else 's'}"
    else:
        basis = f"score {chosen['score']:.2f}, the prior: {fault or 'the warehouse has no figures of it'}"
    parts = [place, basis]
    if is_exploration:
        parts.insert(0, "exploration")
    if chosen["attempts"]:
        parts.append(f"tried {chosen['attempts']} time{'' if chosen['attempts'] == 1 else 's'} before")
    return "; ".join(parts)
