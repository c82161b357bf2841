"""Schema drift: fields that nobody specified, values that were converted, KPIs that no mission is held to."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from mission_pipeline.contracts.inputs import DATA_SETS, MISSION_RUNS
from mission_pipeline.contracts.quality import SchemaDrift
from mission_pipeline.validate import statements
from mission_pipeline.validate.nested import Drift
from mission_pipeline.warehouse import Build

_CONVERTED_KPIS = """
select 'kpis.' || kpi_name as field, 'converted_type' as kind, count(*) as rows,
    min(cast(arrived as varchar)) as example_value
from raw.observed_kpis
inner join raw.mission_runs on observed_kpis.record_id = mission_runs.rowid
where json_kind = 'VARCHAR' and kpi_value is not null and is_current
group by all"""

_UNSPECIFIED_KPIS = """
select 'kpis.' || kpi_name as field, 'unspecified_kpi' as kind, count(*) as rows,
    cast(min(kpi_value) as varchar) as example_value
from staging.run_kpis
where not is_specified
group by all"""


def write_schema_drift(build: Build, nested: Mapping[str, Drift]) -> None:
    """Write ``quality.schema_drift``: counts over the records in the files present, rejected ones included.

    Args:
        build: the open build file; staging is written by now.
        nested: data set → what was found inside its ``tasks[]`` or ``kpis{}``.

    """
    queries = [(MISSION_RUNS.name, _CONVERTED_KPIS), (MISSION_RUNS.name, _UNSPECIFIED_KPIS)]
    for data_set in DATA_SETS:
        queries += [(data_set.name, statements.conversions(data_set))]
        queries += [(data_set.name, statements.unknown_fields(data_set))]
    columns = [pl.col(name).cast(type_) for name, type_ in SchemaDrift.polars_schema().items()]
    found = [build.frame(statements.drift_of_all(queries))]
    found += [drift.frame().with_columns(data_set=pl.lit(name)) for name, drift in nested.items()]
    build.replace_table(
        SchemaDrift, frame=pl.concat(part.select(columns) for part in found).sort("data_set", "field", "kind")
    )
