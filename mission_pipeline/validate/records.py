"""Refuses records that are wrong in themselves: field by field. What they refer to, and nested values, come later."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime

import pandera.errors
import polars as pl

from mission_pipeline.contracts.inputs import InputDataSet
from mission_pipeline.validate import rules, set_aside, statements
from mission_pipeline.validate.record_contracts import RecordContract, record_contract
from mission_pipeline.warehouse import Build

_WHOLE_RECORD, _REPEATED_NAMES = "(record)", "(names)"
_SHOWN_CHARACTERS = 80


def reject_faulty_records(build: Build, data_set: InputDataSet, broken: pl.DataFrame) -> None:
    """Reject records that are not what the input contract says.

    Args:
        build: the open build file.
        data_set: the data set.
        broken: the verdicts on those with a value that ingest could read, as ``broken_records`` finds them.

    """
    set_aside.reject(build, data_set, set_aside.verdicts(_misfits(build, data_set)))
    set_aside.reject(build, data_set, broken)


def broken_records(build: Build, data_set: InputDataSet, latest: datetime) -> pl.DataFrame:
    """Return verdicts on the records with a missing required field, or a value out of its range; write nothing.

    Args:
        build: reads what has landed, and nothing else.
        data_set: the data set.
        latest: the last moment that a time may name.

    """
    contract = record_contract(data_set, latest)
    batches = build.batches(statements.records_to_check(data_set, contract.fields))
    # Gathered first: while DuckDB streams a result, the connection can run nothing else.
    found = list(_in_turns(lambda batch: set_aside.verdicts(_broken_promises(contract, batch)), batches))
    return pl.concat(found) if found else pl.DataFrame(schema=set_aside.VERDICTS)


def _in_turns(check: Callable[[pl.DataFrame], pl.DataFrame], batches: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Yield what a check finds in each batch, in their order; two are checked at a time, and no more are held."""
    with ThreadPoolExecutor(max_workers=2) as checkers:
        begun: deque[Future[pl.DataFrame]] = deque()
        for batch in batches:
            begun.append(checkers.submit(check, batch))
            if len(begun) > 2:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()


def _misfits(build: Build, data_set: InputDataSet) -> pl.DataFrame:
    """Return the faults of the records that ingest could not read as the input contract says."""
    if not build.scalar(statements.count_misfits(data_set)):  # the usual case, and cheaper to ask
        return pl.DataFrame(schema=set_aside.FAULTS)
    found = build.frame(statements.misfits(data_set))
    types = {field.name: field.type for field in data_set.fields}
    expected = {name: rules.EXPECTED[type_] for name, type_ in types.items()}
    field, arrived = pl.col("field"), pl.col("arrived")
    is_whole_record = field == _WHOLE_RECORD
    is_text = arrived.str.starts_with('"') | arrived.is_null()
    is_broken_id = field.replace_strict(types, default="", return_dtype=pl.String).eq("id") & is_text
    return found.select(
        "record_id",
        rule=pl.when(is_whole_record & pl.col("is_json"))
        .then(pl.lit(rules.NOT_AN_OBJECT))
        .when(is_whole_record)
        .then(pl.lit(rules.NOT_JSON))
        .when(field == _REPEATED_NAMES)
        .then(pl.lit(rules.NAMED_TWICE))
        .when(is_broken_id)
        .then(pl.lit(rules.BROKEN_ID))
        .otherwise(pl.lit(rules.WRONG_TYPE)),
        sentence=pl.when(is_whole_record & pl.col("is_json"))
        .then(pl.lit("the record is not a JSON object"))
        .when(is_whole_record)
        .then(pl.lit("the line is not JSON"))
        .when(field == _REPEATED_NAMES)
        .then(pl.format("the record gives more than once: {}", arrived))
        .otherwise(
            pl.format(
                "{} is {}, not {}",
                field,
                _shortened(arrived).fill_null("unreadable"),
                field.replace_strict(expected, default="", return_dtype=pl.String),
            )
        ),
    ).cast(set_aside.FAULTS)  # type: ignore[arg-type]


def _broken_promises(contract: RecordContract, batch: pl.DataFrame) -> pl.DataFrame:
    """Return the faults of a batch of records; an eager frame, for Pandera lets bad values of a lazy one pass."""
    try:
        contract.schema.validate(batch.drop("record_id"), lazy=True)
    except pandera.errors.SchemaErrors as errors:
        cases = errors.failure_cases
    else:
        return pl.DataFrame(schema=set_aside.FAULTS)
    if cases["index"].null_count():
        raise errors_of_the_frame(cases)
    meanings = pl.DataFrame(
        [(field, number, rule, end) for (field, number), (rule, end) in contract.meanings.items()],
        schema={"column": pl.String, "check_number": pl.Int32, "rule": pl.String, "ending": pl.String},
        orient="row",
    )
    value = _shortened(pl.col("failure_case").str.replace(r"\.0+$", ""))
    value = pl.when(pl.col("rule") == rules.BROKEN_ID).then(pl.format('"{}"', value)).otherwise(value)
    faults: pl.DataFrame = (
        cases.join(meanings, on=["column", "check_number"], how="left", nulls_equal=True)
        .join(batch.select("record_id").with_row_index("index"), on="index", how="left")
        .select(
            "record_id",
            "rule",
            sentence=pl.when(pl.col("check_number").is_null())
            .then(pl.format("{} {}", "column", "ending"))
            .otherwise(pl.format("{} is {}, {}", "column", value, "ending")),
        )
    )
    return faults


def _shortened(value: pl.Expr) -> pl.Expr:
    """Return the beginning of a long value: the record stands beside it, whole."""
    is_long = value.str.len_chars() > _SHOWN_CHARACTERS
    beginning = pl.format("{} … ({} characters)", value.str.slice(0, _SHOWN_CHARACTERS), value.str.len_chars())
    return pl.when(is_long).then(beginning).otherwise(value)


def errors_of_the_frame(cases: pl.DataFrame) -> ValueError:
    """Return the error for a frame that does not fit its schema at all: a fault of this program, not of a record."""
    return ValueError(f"records were handed over in another form than their contract: {cases.head(3).rows()}")
