"""Every table contract of the warehouse, in the order in which data flows."""

from mission_pipeline.contracts.base import TableContract
from mission_pipeline.contracts.derived import DERIVED_CONTRACTS
from mission_pipeline.contracts.judged import JUDGED_CONTRACTS
from mission_pipeline.contracts.quality import QUALITY_CONTRACTS
from mission_pipeline.contracts.staging import STAGING_CONTRACTS

ALL_CONTRACTS: tuple[type[TableContract], ...] = (
    *STAGING_CONTRACTS, *DERIVED_CONTRACTS, *JUDGED_CONTRACTS, *QUALITY_CONTRACTS,
)


def contract_of(qualified_name: str) -> type[TableContract]:
    """Return the contract of ``schema.table``.

    Raises:
        KeyError: no such table is promised.

    """
    return {contract.qualified_name(): contract for contract in ALL_CONTRACTS}[qualified_name]
