"""The SQL of validation that is made from the input contracts, for it is the same for every data set. Runs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mission_pipeline.contracts.inputs import InputDataSet, InputField

if TYPE_CHECKING:
    from mission_pipeline.validate.references import Agreement, Reference

NUMBER_IN_QUOTES = r"[-+]?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?"
MAX_EXACT_INTEGER = 2**53


def is_sound(table: str) -> str:
    """Return the condition that a raw record of ``table`` was not set aside so far."""
    name = table.removeprefix("raw.")
    return (
        "not exists (select 1 from raw.set_aside where set_aside.data_set = "
        f"'{name}' and set_aside.record_id = {name}.rowid)"
    )


def count_misfits(data_set: InputDataSet) -> str:
    """Return a query of the number of records with a misfit."""
    return f"select count(*) from {data_set.raw_table} where len(misfits) > 0"


def misfits(data_set: InputDataSet) -> str:
    """Return a query of every misfit: record_id, field, the value as it arrived, whether its record is JSON.

    Of repeated names, which stand under the field ``(names)``, the names.
    """
    names = "json_keys(try_cast(record as json))"
    return f"""
select record_id, field, try_cast(record as json) is not null as is_json,
    case field when '(record)' then null
        when '(names)' then array_to_string(list_sort(list_distinct(list_filter({names},
            lambda name: len(list_filter({names}, lambda other: other = name)) > 1))), ', ')
        else cast(json_extract(try_cast(record as json), '$.' || field) as varchar) end as arrived
from (select rowid as record_id, unnest(misfits) as field, record from {data_set.raw_table} where len(misfits) > 0)"""


def records_to_check(data_set: InputDataSet, fields: tuple[InputField, ...]) -> str:
    """Return a query of the records that ingest could read: record_id and the fields, JSON as text."""
    columns = ", ".join(
        f"cast({field.name} as varchar) as {field.name}" if field.type == "json" else field.name for field in fields
    )
    return f"select rowid as record_id, {columns} from {data_set.raw_table} where coalesce(len(misfits), 0) = 0"


def nested_values(data_set: InputDataSet, field: str) -> str:
    """Return a query of the sound records' nested field as text, in the order of files and rows."""
    return (
        f"select rowid as record_id, mission_id, cast({field} as varchar) as {field} from {data_set.raw_table} "
        f"where {is_sound(data_set.raw_table)} order by file_order, row"
    )


def sound_records(data_set: InputDataSet) -> str:
    """Return a query of the records that were not set aside so far."""
    return f"select rowid as record_id from {data_set.raw_table} where {is_sound(data_set.raw_table)}"


def set_aside_earlier_files(data_set: InputDataSet) -> str:
    """Return the statement that sets aside all but the last file's sound records; binds $data_set."""
    return (
        f"insert into raw.set_aside select $data_set, rowid, 'replaced', null, null from {data_set.raw_table} "
        f"where file_order < (select max(file_order) from quality.loaded_files where data_set = $data_set) "
        f"and {is_sound(data_set.raw_table)}"
    )


def set_aside_replaced(data_set: InputDataSet) -> str:
    """Return the statement that leaves one sound record per key; binds $data_set.

    Repeated keys are few, so they are looked for first, by their hash, and only such records are put in order. To read
    the records twice costs half of keeping them for the second time.
    """
    keys = ", ".join(data_set.key)
    values = ", ".join("coalesce(attempt, 1) as attempt" if key == "attempt" else key for key in data_set.key)
    return f"""
insert into raw.set_aside
with sound as not materialized (
    select rowid as record_id, is_current, file_order, load_number, row, {values}
    from {data_set.raw_table} where {is_sound(data_set.raw_table)}
),
repeated as (
    select hash({keys}) as key_hash from sound group by key_hash having count(*) > 1
),
ranked as (
    select record_id, is_current, row_number() over (
        partition by {keys} order by is_current desc, file_order desc, load_number desc, row desc) as place
    from sound where hash({keys}) in (select key_hash from repeated)
)
select $data_set, record_id, case when is_current then 'replaced' else 'forgotten' end, null, null
from ranked where place > 1"""


def record_as_it_arrived(data_set: InputDataSet) -> str:
    """Return an expression of a raw record's text; what ingest did not keep whole is made again from its columns.

    A field that was absent cannot be told from one that was null; both are left out.
    """
    fields = ", ".join(
        f"""case when {field.name} is not null then '"{field.name}": ' || {_json_of(field)} end"""
        for field in data_set.fields
    )
    return f"coalesce(record, '{{' || concat_ws(', ', {fields}) || '}}')"


def _json_of(field: InputField) -> str:
    match field.type:
        case "json":
            return f"cast({field.name} as varchar)"
        case "time":
            text = f"strftime({field.name}, '%Y-%m-%dT%H:%M:%S.%f')"
            return f"to_json(regexp_replace({text}, '\\.?0*$', '') || 'Z')"
        case "date":
            return f"to_json(strftime({field.name}, '%Y-%m-%d'))"
        case "number":
            is_whole = f"{field.name} = trunc({field.name}) and abs({field.name}) < {MAX_EXACT_INTEGER}"
            whole = f"cast(try_cast({field.name} as bigint) as varchar)"
            return f"case when {is_whole} then {whole} else cast(to_json({field.name}) as varchar) end"
        case _:
            return f"to_json({field.name})"


def rejected_records(data_set: InputDataSet) -> str:
    """Return the query of the data set's rejected records in the files present."""
    name = data_set.name
    return (
        f"select '{name}' as data_set, {name}.file, {name}.row, set_aside.rule, set_aside.reason, "
        f"{record_as_it_arrived(data_set)} as record from {data_set.raw_table} inner join raw.set_aside "
        f"on set_aside.data_set = '{name}' and set_aside.record_id = {name}.rowid "
        f"where set_aside.why = 'rejected' and {name}.is_current"
    )


def record_counts(data_set: InputDataSet) -> str:
    """Return a query of one row: what became of the data set's records, each figure counted by itself."""
    name = data_set.name
    return f"""
select '{name}' as data_set,
    count(*) filter (where {name}.is_current and set_aside.why is distinct from 'rejected') as rows_valid,
    count(*) filter (where {name}.is_current and set_aside.why = 'replaced') as rows_replaced,
    count(*) filter (where not {name}.is_current and set_aside.why is null) as rows_retained,
    count(*) filter (where set_aside.why is null) as rows_staged
from {data_set.raw_table}
left join raw.set_aside on set_aside.data_set = '{name}' and set_aside.record_id = {name}.rowid"""


def conversions(data_set: InputDataSet) -> str:
    """Return a query of the fields that were converted: field, kind, rows, example_value."""
    return f"""
select field, 'converted_type' as kind, count(*) as rows,
    min(cast(json_extract(try_cast(record as json), '$.' || field) as varchar)) as example_value
from (select unnest(conversions) as field, record from {data_set.raw_table} where is_current and len(conversions) > 0)
group by field"""


def unknown_fields(data_set: InputDataSet) -> str:
    """Return a query of the fields that nobody specified: field, kind, rows, example_value."""
    return f"""
select entry.key as field, 'unknown_field' as kind, count(*) as rows,
    min(case when json_type(entry.value) <> 'NULL' then cast(entry.value as varchar) end) as example_value
from (
    select unnest(map_entries(cast(extra_fields as map(varchar, json)))) as entry
    from {data_set.raw_table}
    where is_current and extra_fields is not null and not coalesce(list_contains(misfits, '(names)'), false)
)
group by entry.key"""


def drift_of_all(queries: Sequence[tuple[str, str]]) -> str:
    """Return a query of drift of many data sets: data_set, field, kind, rows, example_value.

    Args:
        queries: data set, and a query of field, kind, rows, example_value.

    """
    return " union all ".join(
        f"select '{data_set}' as data_set, field, kind, rows, example_value from ({query})"
        for data_set, query in queries
    )


def example_record(data_set: InputDataSet, rule: str) -> str:
    """Return a query of one row: how many records, and a sentence of the first.

    Args:
        data_set: whose records.
        rule: ``replaced_record`` or ``vanished_record``.

    """
    name = data_set.name
    key = " || ', ' || ".join(
        f"'{key} ' || {'coalesce(attempt, 1)' if key == 'attempt' else key}" for key in data_set.key
    )
    if rule == "vanished_record":
        return (
            f"select count(*), 'The record of ' || min({key}) || ' is in no file any more.' from {data_set.raw_table} "
            f"where not is_current and {is_sound(data_set.raw_table)}"
        )
    last_file = (
        f" and file_order = (select max(file_order) from quality.loaded_files where data_set = '{name}')"
        if data_set.kind == "reference"
        else ""
    )
    return (
        f"select count(*), 'The record of ' || min({key}) || ' stands more than once.' from {data_set.raw_table} "
        f"inner join raw.set_aside on set_aside.data_set = '{name}' and set_aside.record_id = {name}.rowid "
        f"where is_current and set_aside.why = 'replaced'{last_file}"
    )


def warnings_of_all(queries: Sequence[tuple[str, str, str]]) -> str:
    """Return a query of many warnings: data_set, rule, how many records, a sentence of one.

    Args:
        queries: data set, rule, and a query of one row: how many records, a sentence of one.

    """
    return " union all ".join(
        f"select '{data_set}', '{rule}', * from ({query}) as found (rows, sentence)"
        for data_set, rule, query in queries
    )


def reference_faults(data_set: InputDataSet, references: Sequence[Reference], agreements: Sequence[Agreement]) -> str:
    """Return the statement that sets aside sound records whose references do not hold."""
    name = data_set.name
    joins, rules, sentences = [], [], []
    for reference in references:
        alias = f"by_{reference.field}"
        value = f"{name}.{reference.field}"
        joins.append(f"left join {reference.table} as {alias} on {alias}.{reference.column} = {value}")
        fails = f"{value} is not null and {alias}.{reference.column} is null"
        rules.append(f"when {fails} then '{reference.rule}'")
        sentences.append(
            f"case when {fails} then '{reference.field} ' || {value} "
            f"|| ' is in no valid record of {reference.source}' end"
        )
    for agreement in agreements:
        other = f"by_{agreement.through}.mission_id"
        fails = f"{other} <> {name}.mission_id"
        rules.append(f"when {fails} then '{agreement.rule}'")
        sentences.append(
            f"case when {fails} then 'mission_id is ' || {name}.mission_id || ', but {agreement.through} ' "
            f"|| {name}.{agreement.through} || ' is of mission ' || {other} end"
        )
    return f"""
insert into raw.set_aside
with asked as (
    select {name}.rowid as record_id, case {" ".join(rules)} end as rule,
        concat_ws('; ', {", ".join(sentences)}) as reason
    from {data_set.raw_table} {" ".join(joins)}
    where {is_sound(data_set.raw_table)}
)
select '{name}', record_id, 'rejected', rule, reason || '.' from asked where rule is not null"""
