"""Errors that a user can mend: each names the place, what was wrong and what to do; none shows a traceback."""

from __future__ import annotations


class MissionPipelineError(Exception):
    """A user's mistake or a fault of the input. The text is shown as it is; the command exits with ``exit_code``."""

    exit_code = 2


class InputFault(MissionPipelineError):
    """A file or folder of the raw data cannot be used at all."""


class PolicyFault(MissionPipelineError):
    """The policy file is not valid."""


class WarehouseFault(MissionPipelineError):
    """The warehouse cannot be opened, written or found."""


class NothingToJudge(MissionPipelineError):
    """There is no data up to the as-of day, or no brief of it."""


class ContractBroken(MissionPipelineError):
    """A derived table breaks its promise: a fault of this program, not of the input. The old table stays."""

    exit_code = 1

    @property
    def table(self) -> str:
        """The table that breaks its promise: its sentence opens with the name."""
        return str(self).partition(":")[0]


class StoreFault(MissionPipelineError):
    """The store of the missions cannot be opened, read or written."""


class PlanFault(MissionPipelineError):
    """A mission's plan cannot be run: nothing was started."""


class UnknownRun(MissionPipelineError):
    """No run of the store has this name."""


class RunHasEnded(MissionPipelineError):
    """The run has ended already: what was asked for comes too late."""


class UnknownKpi(MissionPipelineError):
    """The run's mission has no such KPI, or its value is no number that can be kept."""


class UnknownApproval(MissionPipelineError):
    """No gate of the store has this name."""


class DecisionRefused(MissionPipelineError):
    """A decision lacks what it needs: who decides, or why something is rejected."""


class DecidedBefore(MissionPipelineError):
    """A decision that cannot stand any more. A command exits with 5, so that a script can tell it from a mistake."""

    exit_code = 5


class AlreadyDecided(DecidedBefore):
    """Somebody decided first, or the run was cancelled. ``decision`` is what stands; None when nobody decided."""

    def __init__(self, message: str, decision: object = None) -> None:
        super().__init__(message)
        self.decision = decision


class ResultChanged(DecidedBefore):
    """The result is not the one that the approver saw. ``approval_id`` is the gate to look at now."""

    def __init__(self, message: str, approval_id: str) -> None:
        super().__init__(message)
        self.approval_id = approval_id
