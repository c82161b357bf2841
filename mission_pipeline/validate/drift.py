"""Schema drift: fields that nobody specified, values that were converted, KPIs that no mission is held to."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from mission_pipeline.contracts.inputs import DATA_SETS
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

_COLUMNS = (
    pl.col("field").cast(pl.String),
    pl.col("kind").cast(pl.String),
    pl.col("rows").cast(pl.Int64),
    pl.col("example_value").cast(pl.String),
)


def write_schema_drift(build: Build, nested: Mapping[str, Drift]) -> None:
    """Write ``quality.schema_drift``: counts over the records in the files present, rejected ones included.

    Args:
        build: the open build file; staging is written by now.
        nested: data set → what was found inside its ``tasks[]`` or ``kpis{}``.

    """
    found: list[pl.DataFrame] = []
    for data_set in DATA_SETS:
        parts = [build.frame(statements.conversions(data_set)), build.frame(statements.unknown_fields(data_set))]
        if data_set.name == "mission_runs":
            parts += [build.frame(_CONVERTED_KPIS), build.frame(_UNSPECIFIED_KPIS)]
        if data_set.name in nested:
            parts.append(nested[data_set.name].frame())
        found += [part.select(pl.lit(data_set.name).alias("data_set"), *_COLUMNS) for part in parts]
    rows = pl.concat(found).sort("data_set", "field", "kind")
    build.replace_table(SchemaDrift, frame=rows)
