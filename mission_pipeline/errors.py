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
