"""Loading a policy: what is refused says which key, which value and what was expected; overrides hold for one mission."""

import pytest

from mission_pipeline.errors import PolicyFault
from mission_pipeline.policy import load_policy
from mission_pipeline.settings import SHIPPED_POLICY_FILE

SHIPPED = SHIPPED_POLICY_FILE.read_text(encoding="utf-8")


@pytest.fixture
def loaded(tmp_path):
    """Load the shipped policy with one line exchanged, or with lines added."""

    def load(old="", new="", more=""):
        assert old in SHIPPED
        file = tmp_path / "policy.toml"
        file.write_text(SHIPPED.replace(old, new, 1) + more, encoding="utf-8")
        return load_policy(file)

    return load


FAULTS = {
    "a misspelt key": (("gap_pct = 8.0", "gap_percent = 8.0"), [
        "key triggers.target_gap_persisting.gap_pct is missing", "key triggers.target_gap_persisting.gap_percent is unknown",
    ]),
    "a number out of range": (("decay_per_run = 0.5 ", "decay_per_run = 1.5 "), [
        "key friction.decay_per_run has the value 1.5", "less than or equal to 1",
    ]),
    "a negative limit": (("gap_pct = 8.0", "gap_pct = -8.0"), [
        "key triggers.target_gap_persisting.gap_pct has the value -8.0", "greater than or equal to 0",
    ]),
    "a text for a number": (("on_track_from = 85.0", 'on_track_from = "high"'), [
        "key health.on_track_from has the value 'high'", "valid number",
    ]),
    "half a run": (("low_below_runs = 2 ", "low_below_runs = 2.5 "), [
        "key confidence.low_below_runs has the value 2.5", "valid integer",
    ]),
    "not a number": (("gap_pct = 8.0", "gap_pct = nan"), [
        "key triggers.target_gap_persisting.gap_pct has the value nan", "finite number",
    ]),
    "an unknown severity": (('severity = "high"', 'severity = "urgent"'), [
        "key triggers.mission_trend_worsening.severity has the value 'urgent'", "'low', 'medium' or 'high'",
    ]),
    "weights that do not add up": (("outcome_weight = 0.35", "outcome_weight = 0.45"), [
        "section health: the five weights must add up to 1, not 1.1",
    ]),
    "cut-offs the wrong way round": (("watch_from = 70.0", "watch_from = 90.0"), [
        "section health: watch_from must not be above on_track_from",
    ]),
    "a priority that is first and last": (('priorities_last = ["low"]', 'priorities_last = ["low", " High"]'), [
        "section runner: priorities_first and priorities_last must not name a word twice",
    ]),
    "a section that is a number": (("[freshness]\nwarn_after_hours", "[other]\nwarn_after_hours"), [
        "key freshness is missing", "key other is unknown",
    ]),
}  # fmt: skip


@pytest.mark.parametrize(("exchange", "says"), FAULTS.values(), ids=FAULTS)
def test_a_policy_that_fails_to_load_says_which_key_which_value_and_what_was_expected(loaded, exchange, says):
    with pytest.raises(PolicyFault) as fault:
        loaded(*exchange)
    assert "policy.toml is not valid" in str(fault.value)
    for part in says:
        assert part in str(fault.value)


def test_a_file_that_is_missing_or_not_toml(loaded, tmp_path):
    with pytest.raises(PolicyFault, match="cannot be read"):
        load_policy(tmp_path / "nowhere.toml")
    with pytest.raises(PolicyFault, match=r"not valid TOML.*line \d+"):
        loaded("gap_pct = 8.0", "gap_pct = ")
    with pytest.raises(PolicyFault, match="unknown key sha256"):
        loaded("version =", 'sha256 = "0"\nversion =')


# ---------------------------------------------------------------- one mission's own


def test_an_override_changes_what_it_names_for_its_mission_alone(loaded):
    policy = loaded(more="\n[missions.M002.triggers.target_gap_persisting]\ngap_pct = 12.0\n")
    own, other = policy.for_mission("M002"), policy.for_mission("M001")
    assert (own.triggers.target_gap_persisting.gap_pct, other.triggers.target_gap_persisting.gap_pct) == (12, 8)
    assert own.triggers.target_gap_persisting.severity == "medium"
    assert own.health == other.health
    assert (own.sha256, own.version) == (policy.sha256, policy.version)
    assert other is policy


def test_an_override_may_name_the_primary_kpi(loaded):
    policy = loaded(more='\n[missions.M002]\nprimary_kpi = "pipeline_days"\n')
    assert (policy.primary_kpi_of("M002"), policy.primary_kpi_of("M001")) == ("pipeline_days", None)
    assert policy.for_mission("M002").health == policy.health


OWN_FAULTS = {
    "a misspelt key": ("[missions.M002.health]\non_track = 90.0", "key health.on_track is unknown"),
    "a misspelt section": ("[missions.M002.helth]\non_track_from = 90.0", "key helth is unknown"),
    "out of range": ("[missions.M002.health]\non_track_from = 190.0", "key health.on_track_from has the value 190.0"),
    "weights": ("[missions.M002.health]\noutcome_weight = 0.5", "section health: the five weights must add up to 1"),
    "the portfolio's status": ("[missions.M002.status]\nwatch_share = 0.2", "key status holds for the whole portfolio"),
    "the portfolio's trigger": (
        "[missions.M002.triggers.portfolio_open_risk_events]\nmin_events = 9",
        "key triggers.portfolio_open_risk_events holds for the whole portfolio",
    ),
    "the version": ('[missions.M002]\nversion = "2"', "key version holds for the whole portfolio"),
    "the order of work": (
        '[missions.M002.runner]\npriorities_last = ["low"]', "key runner.priorities_last holds for the whole portfolio",
    ),
    "the workers' own": ("[missions.M002.runner]\nlease_seconds = 5.0", "key runner.lease_seconds holds for the whole portfolio"),
    "the confidence": (
        "[missions.M002.confidence]\nlow_below_runs = 1", "key confidence.low_below_runs holds for the whole portfolio",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("lines", "says"), OWN_FAULTS.values(), ids=OWN_FAULTS)
def test_a_fault_in_a_missions_own_policy_names_the_mission_and_the_key(loaded, lines, says):
    with pytest.raises(PolicyFault) as fault:
        loaded(more=f"\n{lines}\n")
    assert "not valid in [missions.M002]" in str(fault.value)
    assert says in str(fault.value)
