"""The SQL of ingest, made from the input contracts: how a JSON record becomes a row of ``raw``. Runs nothing.

Every record takes one of two ways. Regular ones, whose fields all have the expected JSON type, are taken over by
``json_transform``, which is fast but lenient. For all others each field decides: it fits, converts without loss, or
is a misfit. The irregular way is correct for every record; the regular one only spares its price.
"""

from __future__ import annotations

from mission_pipeline.contracts.inputs import DUCKDB_INPUT_TYPES, RUN_STATUSES, FieldType, InputDataSet, InputField

JSON_CONTAINERS = {"tasks": "ARRAY", "kpis": "OBJECT"}
"""What a field of type ``json`` must be; its inside is validated later."""
WHOLE_RECORD = "(record)"
"""Stands in ``misfits`` when there is no object to take fields from."""
STAGED_RECORDS = "ingest_records"
"""Temporary table of one file's records.

``row``; ``json``, NULL for a broken line; ``arrived``: the record's text where it is not that of ``json``.
"""

_INTEGERS = "('UBIGINT', 'BIGINT')"
_NUMBERS = "('UBIGINT', 'BIGINT', 'DOUBLE')"
_MAX_EXACT_INTEGER = 2**53
_NUMBER_IN_QUOTES = r"[-+]?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?"
_INTEGER_IN_QUOTES = "[-+]?[0-9]+"
_FIRST_TIME, _LAST_TIME = "0001-01-01", "9999-12-31"

_FORMATS = {False: "array", True: "newline_delimited"}


def stage_with_duckdb(*, has_lines: bool) -> str:
    """Return the statement that reads a file into the temporary table; binds $path, $compression.

    The detour pays: DuckDB reads a file with one core, and a table with all.
    """
    return (
        f"create or replace temporary table {STAGED_RECORDS} as "
        "select row_number() over () as row, json, cast(null as varchar) as arrived "
        f"from read_json_objects($path, format = '{_FORMATS[has_lines]}', compression = $compression)"
    )


def parse_with_duckdb(*, has_lines: bool) -> str:
    """Return a query that reads a file through; binds $path, $compression."""
    return (
        "select count(json_type(json)) "
        f"from read_json_objects($path, format = '{_FORMATS[has_lines]}', compression = $compression)"
    )


def create_staged() -> str:
    """Return the statement that makes the temporary table, empty."""
    return f"create or replace temporary table {STAGED_RECORDS} (row bigint, json json, arrived varchar)"


def stage_batch(batch: str) -> str:
    """Return the statement that adds a batch of the tolerant reader: row, text, and arrived where it differs."""
    return (
        f"insert into {STAGED_RECORDS} select row, try_cast(text as json), "
        f"case when try_cast(text as json) is null then coalesce(arrived, text) else arrived end from {batch}"
    )


def count_staged() -> str:
    """Return a query of the number of records staged."""
    return f"select count(*) from {STAGED_RECORDS}"


def create_raw_table(data_set: InputDataSet) -> str:
    """Return the statement that makes the data set's raw table unless it is there."""
    fields = ", ".join(f"{field.name} {DUCKDB_INPUT_TYPES[field.type]}" for field in data_set.fields)
    return (
        f"create table if not exists {data_set.raw_table} (file varchar, file_order bigint, row bigint, "
        f"load_number bigint, is_current boolean, {fields}, extra_fields json, record varchar, "
        "misfits varchar[], conversions varchar[])"
    )


def insert_records(data_set: InputDataSet) -> str:
    """Return the statement that lands the staged records; binds $file, $file_order, $load_number."""
    return (
        f"insert into {data_set.raw_table} select $file, $file_order, row, $load_number, true, "
        f"{', '.join(field.name for field in data_set.fields)}, extra_fields, record, misfits, conversions "
        f"from ({typed_records(data_set)})"
    )


def typed_records(data_set: InputDataSet) -> str:
    """Return a query of the staged records: row, the typed fields, extra_fields, record, misfits, conversions."""
    fields = data_set.fields
    types = ", ".join(f'"{field.name}": "{_transform_type(field.type)}"' for field in fields)
    paths = ", ".join(["'$'", *(f"'$.{field.name}'" for field in fields)])
    no_fields = ", ".join(f'"{field.name}": null' for field in fields)
    values, misfits, conversions, is_regular = [], [], [], ["found[1] = 'OBJECT'", "fields = list_count(found) - 1"]
    for place, field in enumerate(fields, start=2):
        found = f"found[{place}]"
        is_absent = f"coalesce({found}, 'NULL') = 'NULL'"
        value, fast = _irregular_value(field, found), _regular_value(field)
        values.append(f"case when is_regular then {fast} when {is_absent} then null else {value} end as {field.name}")
        is_regular.append(f"({is_absent} or ({_fits(field, found)}))")
        misfits.append(f"case when not {is_absent} and {field.name} is null then '{field.name}' end")
        conversions.append(
            f"case when {field.name} is not null and {_is_converted(field, found)} then '{field.name}' end"
        )
    return f"""
with parsed as (
    select row, json, arrived,
        json_transform(json, '{{{types}}}') as fast,
        json_type(json, [{paths}]) as found,
        len(json_keys(json)) as fields
    from {STAGED_RECORDS}
),
sorted as (
    select row, json, arrived, fast, found, coalesce({" and ".join(is_regular)}, false) as is_regular from parsed
),
valued as (
    select row, json, arrived, found, is_regular, {", ".join(values)},
        case when not is_regular and found[1] = 'OBJECT'
            then nullif(json_merge_patch(json, '{{{no_fields}}}'), '{{}}') end as extra_fields
    from sorted
),
explained as (
    select *,
        case when is_regular then cast([] as varchar[])
            when coalesce(found[1], '') <> 'OBJECT' then ['{WHOLE_RECORD}']
            else list_filter([{", ".join(misfits)}], lambda field: field is not null) end as misfits,
        case when is_regular then cast([] as varchar[])
            else list_filter([{", ".join(conversions)}], lambda field: field is not null) end as conversions
    from valued
)
select row, {", ".join(field.name for field in fields)}, extra_fields,
    case when arrived is not null then arrived
        when not is_regular and (extra_fields is not null or len(misfits) > 0 or len(conversions) > 0)
            then cast(json as varchar) end as record,
    misfits, conversions
from explained"""


def _transform_type(field_type: FieldType) -> str:
    return "TIMESTAMPTZ" if field_type == "time" else DUCKDB_INPUT_TYPES[field_type]  # a TIMESTAMP ignores the offset


def _regular_value(field: InputField) -> str:
    return f"fast.{field.name} at time zone 'UTC'" if field.type == "time" else f"fast.{field.name}"


def _fits(field: InputField, found: str) -> str:
    """Return the condition under which ``json_transform`` gives exactly the value that arrived."""
    value = f"fast.{field.name}"
    match field.type:
        case "id":
            return f"{found} = 'VARCHAR' and {_has_only_sound_characters(value)}"
        case "text":
            return f"{found} = 'VARCHAR'"
        case "number":
            return f"{found} in {_NUMBERS} and isfinite({value})"
        case "count":
            return f"{found} in {_INTEGERS} and {value} is not null"
        case "flag":
            return f"{found} = 'BOOLEAN'"
        case "time":
            return f"{found} = 'VARCHAR' and {_is_in_calendar(value, 'timestamptz')}"
        case "json":
            return f"{found} = '{JSON_CONTAINERS[field.name]}'"
        case "date" | "ids":
            return "false"  # rare and small: the irregular way decides


def _irregular_value(field: InputField, found: str) -> str:
    """Return the value of a present field, NULL for a misfit."""
    path = f"'$.{field.name}'"
    text = f"json_extract_string(json, {path})"
    number = f"try_cast({text} as double)"
    match field.type:
        case "id":
            return (
                f"case when {found} = 'VARCHAR' and {_has_only_sound_characters(text)} then {text} "
                f"when {found} in {_NUMBERS} and isfinite({number}) then {_literal_number(field, found, text)} end"
            )
        case "text":
            return (
                f"case when {found} = 'VARCHAR' then {text} "
                f"when {found} in {_NUMBERS} and isfinite({number}) then {_literal_number(field, found, text)} end"
            )
        case "number":
            return (
                f"case when ({found} in {_NUMBERS} or ({found} = 'VARCHAR' and "
                f"regexp_full_match({text}, '{_NUMBER_IN_QUOTES}'))) and isfinite({number}) then {number} end"
            )
        case "count":
            is_quoted_number = f"{found} = 'VARCHAR' and regexp_full_match({text}, '{_NUMBER_IN_QUOTES}')"
            return (
                f"case when {found} in {_INTEGERS} or ({found} = 'VARCHAR' and "
                f"regexp_full_match({text}, '{_INTEGER_IN_QUOTES}')) then try_cast({text} as bigint) "
                f"when ({found} = 'DOUBLE' or ({is_quoted_number})) "
                f"and isfinite({number}) and trunc({number}) = {number} and abs({number}) <= {_MAX_EXACT_INTEGER} "
                f"then try_cast({number} as bigint) end"
            )
        case "flag":
            return (
                f"case when {found} = 'BOOLEAN' or ({found} = 'VARCHAR' and lower({text}) in ('true', 'false')) "
                f"then lower({text}) = 'true' end"
            )
        case "time":
            moment = f"try_cast({text} as timestamptz)"
            return (
                f"case when {found} = 'VARCHAR' and {_is_in_calendar(moment, 'timestamptz')} "
                f"then {moment} at time zone 'UTC' end"
            )
        case "date":
            day, moment = f"try_cast({text} as date)", f"try_cast({text} as timestamptz) at time zone 'UTC'"
            return (
                f"case when {found} = 'VARCHAR' and {_is_in_calendar(day, 'date')} and {moment} = {day} then {day} end"
            )
        case "ids":
            elements = f"json_extract_string(json, '$.{field.name}[*]')"
            are_sound = _has_only_sound_characters(f"array_to_string({elements}, '')")
            return (
                f"case when {found} = 'ARRAY' and list_has_all(['VARCHAR', 'UBIGINT', 'BIGINT', 'DOUBLE'], "
                f"json_type(json, '$.{field.name}[*]')) and {are_sound} "
                f"then {elements} end"
            )
        case "json":
            return f"case when {found} = '{JSON_CONTAINERS[field.name]}' then json_extract(json, {path}) end"


def _is_converted(field: InputField, found: str) -> str:
    match field.type:
        case "id" | "text":
            return f"{found} <> 'VARCHAR'"
        case "number" | "count" | "flag":
            return f"{found} = 'VARCHAR'"
        case "ids":
            return f"list_has_any(['UBIGINT', 'BIGINT', 'DOUBLE'], json_type(json, '$.{field.name}[*]'))"
        case "time" | "date" | "json":
            return "false"


def _has_only_sound_characters(text: str) -> str:
    return f"not contains({text}, chr(0)) and not contains({text}, chr(65533))"


def _is_in_calendar(value: str, type_: str) -> str:
    """Return a condition that also refuses infinity, and days that no later step could show."""
    return f"{value} between {type_} '{_FIRST_TIME}' and {type_} '{_LAST_TIME}'"


def _literal_number(field: InputField, found: str, text: str) -> str:
    """Return a number as it was written: DuckDB gives 1.10 as 1.1, and an id is not a quantity."""
    written = f"""regexp_extract(json, '"{field.name}"\\s*:\\s*(-?[0-9][-+.eE0-9]*)', 1)"""
    is_same = f"try_cast({written} as double) = try_cast({text} as double)"
    return f"case when {found} = 'DOUBLE' and {is_same} then {written} else {text} end"


def renumber_file(data_set: InputDataSet) -> str:
    """Return the statement that gives an unchanged file its new place; binds $file, $file_order."""
    return f"update {data_set.raw_table} set file_order = $file_order where file = $file and is_current"


_EARLIER_CONTENT = "(not is_current or (load_number < $load_number and list_contains($files, file)))"


def delete_earlier_contents(data_set: InputDataSet) -> str:
    """Return the statement that forgets earlier contents of $files, and all vanished rows; binds $load_number."""
    return f"delete from {data_set.raw_table} where {_EARLIER_CONTENT}"


def delete_superseded(data_set: InputDataSet) -> str:
    """Return the statement that forgets earlier rows whose key stands in a file present, or that have no key."""
    keys = [_key_value(data_set, name) for name in data_set.key]
    has_no_key = " or ".join(f"{key} is null" for key in keys)
    key = ", ".join(keys)
    return (
        f"delete from {data_set.raw_table} where {_EARLIER_CONTENT} and ({has_no_key} "
        f"or ({key}) in (select ({key}) from {data_set.raw_table} where not {_EARLIER_CONTENT}))"
    )


def mark_vanished(data_set: InputDataSet) -> str:
    """Return the statement that marks what is left of earlier contents; binds $files, $load_number."""
    return f"update {data_set.raw_table} set is_current = false where is_current and {_EARLIER_CONTENT}"


def _key_value(data_set: InputDataSet, name: str) -> str:
    """Return a key column's value; an absent attempt is the first one."""
    return "coalesce(attempt, 1)" if name == "attempt" else name


def newest_run_day() -> str:
    """Return a query of the newest day of staged runs whose times fit each other and do not pass $latest."""
    fields = dict.fromkeys(("run_id", "mission_id", "status"), "VARCHAR")
    fields |= dict.fromkeys(("start_time", "end_time"), "TIMESTAMPTZ")
    types = ", ".join(f'"{name}": "{type_}"' for name, type_ in fields.items())
    statuses = ", ".join(f"'{status}'" for status in RUN_STATUSES)
    return f"""
with parsed as (
    select json_transform(json, '{{{types}}}') as run from {STAGED_RECORDS}
),
timed as (
    select run.start_time at time zone 'UTC' as start_time, run.end_time at time zone 'UTC' as end_time
    from parsed
    where run.run_id is not null and run.mission_id is not null and run.status in ({statuses})
        and {_is_in_calendar("run.start_time", "timestamptz")}
)
select max(cast(coalesce(end_time, start_time) as date)) from timed
where start_time <= $latest and (end_time is null or end_time between start_time and $latest)"""
