"""What the asset checks say, in the right number."""

import pytest

from mission_pipeline.contracts.quality import DataWarnings, PlanFindings, SchemaDrift
from mission_pipeline.orchestration.findings import contradictions, plan_faults, schema_drift
from mission_pipeline.warehouse import build_in_memory


@pytest.mark.parametrize(
    ("look", "contract", "sentences"),
    [
        (contradictions, DataWarnings, (
            "No figures contradict each other.",
            "1 kind of contradiction or oddity.",
            "2 kinds of contradiction or oddity.",
        )),
        (schema_drift, SchemaDrift, (
            "No field or type differs from what is specified.",
            "1 field or type differs from what is specified.",
            "2 fields or types differ from what is specified.",
        )),
        (plan_faults, PlanFindings, (
            "No plan has a fault.",
            "1 fault in a plan; the runner refuses such a plan.",
            "2 faults in plans; the runner refuses such plans.",
        )),
    ],
)  # fmt: skip
def test_one_finding_is_singular(policy, look, contract, sentences):
    with build_in_memory() as build:
        build.ensure_table(contract)
        for number, sentence in enumerate(sentences):
            found = look(build, policy, [])
            assert (found.sentence, found.is_good, found.figures) == (sentence, number == 0, {"found": number})
            build.execute(
                f"insert into {contract.qualified_name()} by name select 'x{number}' as {contract.columns()[0].name}"
            )
