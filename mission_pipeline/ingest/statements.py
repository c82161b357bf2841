"""The SQL of ingest, made from the input contracts: how a JSON record becomes a row of ``raw``. Runs nothing.

Every value takes one of two ways. One ``json_transform`` gives all fields of a record as JSON text; where that text is
seen to be of the expected type, it is cast: quick. Otherwise the careful way asks for the JSON type and decides whether
the value converts without loss or is a misfit. The careful way is right for every value; the quick one only spares its
price, which is that of parsing the record again.
"""

from __future__ import annotations

from mission_pipeline.contracts.inputs import DUCKDB_INPUT_TYPES, RUN_STATUSES, InputDataSet, InputField

JSON_CONTAINERS = {"tasks": "ARRAY", "kpis": "OBJECT", "endpoint": "OBJECT"}
"""What a field of type ``json`` must be; its inside is validated later."""
_OPENINGS = {"ARRAY": "[", "OBJECT": "{"}
WHOLE_RECORD = "(record)"
"""Stands in ``misfits`` when there is no object to take fields from."""
REPEATED_NAMES = "(names)"
"""Stands in ``misfits`` when an object gives a name more than once: of the values DuckDB would keep any one."""
STAGED_RECORDS = "ingest_records"
"""Temporary table of one file's records.

``row``; ``json``, NULL for a broken line; ``arrived``: the record's text where it is not that of ``json``.
"""

TYPED_RECORDS = "ingest_typed_records"
"""Name for one file's records that were given their types ahead; they have the columns of ``typed_records``."""

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


def no_rows(data_set: InputDataSet) -> str:
    """Return a query of the data set's raw table that has its columns and no row."""
    return f"from {data_set.raw_table} limit 0"


def add_field(data_set: InputDataSet, field: InputField) -> str:
    """Return the statement that gives the raw table of an earlier release a field that has come since."""
    return f"alter table {data_set.raw_table} add column {field.name} {DUCKDB_INPUT_TYPES[field.type]}"


def insert_records(data_set: InputDataSet, typed: str) -> str:
    """Return the statement that lands what a query of typed records finds; binds $file, $file_order, $load_number."""
    fields = ", ".join(field.name for field in data_set.fields)
    return (
        f"insert into {data_set.raw_table} "
        f"(file, file_order, row, load_number, is_current, {fields}, extra_fields, record, misfits, conversions) "
        f"select $file, $file_order, row, $load_number, true, {fields}, extra_fields, record, misfits, conversions "
        f"from ({typed})"
    )


def keep_typed(typed: str) -> str:
    """Return the statement that keeps what a query of typed records finds, for ``typed_ahead``."""
    return f"create or replace temporary table {TYPED_RECORDS} as {typed}"


def typed_ahead() -> str:
    """Return a query of the records that were given their types ahead."""
    return f"from {TYPED_RECORDS}"


def typed_records(data_set: InputDataSet, *, only_carefully: bool = False) -> str:
    """Return a query of the staged records: row, the typed fields, extra_fields, record, misfits, conversions.

    Args:
        data_set: whose fields they have.
        only_carefully: decide every value the careful way, which the quick one must equal.

    """
    fields = data_set.fields
    names = ", ".join(field.name for field in fields)
    as_json = ", ".join(f'"{field.name}": "JSON"' for field in fields)
    paths = ", ".join(f"'$.{field.name}'" for field in fields)
    no_fields = ", ".join(f'"{field.name}": null' for field in fields)
    fits, values, misfits, conversions = [], [], [], []
    for place, field in enumerate(fields, start=1):
        found, text = f"found[{place}]", f"texts[{place}]"
        given = f"given.{field.name}"
        does_fit = "false" if only_carefully else f"coalesce({_fits(field, given)}, false)"
        fits.append(f"({given} is null or {does_fit}) as {field.name}_fits")
        values.append(
            f"case when {field.name}_fits then {_quick_value(field, given)} else {_careful_value(field, found, text)} "
            f"end as {field.name}"
        )
        misfits.append(f"case when not {field.name}_fits and {field.name} is null then '{field.name}' end")
        is_converted = f"not {field.name}_fits and {field.name} is not null and {_is_converted(field, found)}"
        conversions.append(f"case when {is_converted} then '{field.name}' end")
    do_fit = ", ".join(f"{field.name}_fits" for field in fields)
    return f"""
with parsed as (
    select row, json, arrived,
        json_transform(json, '{{{as_json}}}') as given,
        coalesce(starts_with(cast(json as varchar), '{{'), false) as is_object,
        len(json_keys(json)) as fields
    from {STAGED_RECORDS}
),
fitted as (
    select *, fields > {" + ".join(f"cast(given.{field.name} is not null as integer)" for field in fields)}
            as has_nulls_or_unknown_fields,
        {", ".join(fits)}
    from parsed
),
sorted as (
    select *, is_object and {" and ".join(f"{field.name}_fits" for field in fields)} as do_all_fit from fitted
),
texted as (
    select *, case when is_object and not do_all_fit then json_extract_string(json, [{paths}]) end as texts,
        case when has_nulls_or_unknown_fields then fields > len(list_distinct(json_keys(json))) else false end
            as has_repeats,
        case when is_object and (not do_all_fit or has_nulls_or_unknown_fields) then json_type(json, [{paths}]) end
            as found
    from sorted
),
valued as (
    select row, json, arrived, found, is_object, do_all_fit, has_repeats, {do_fit}, {", ".join(values)},
        case when fields > list_count(found) then nullif(json_merge_patch(json, '{{{no_fields}}}'), '{{}}') end
            as extra_fields
    from texted
),
explained as (
    select *,
        case when do_all_fit and not has_repeats then cast([] as varchar[])
            when not is_object then ['{WHOLE_RECORD}']
            else list_filter([{", ".join(misfits)}, case when has_repeats then '{REPEATED_NAMES}' end],
                lambda field: field is not null) end as misfits,
        case when do_all_fit or not is_object then cast([] as varchar[])
            else list_filter([{", ".join(conversions)}], lambda field: field is not null) end as conversions
    from valued
)
select row, {names}, extra_fields,
    case when arrived is not null then arrived
        when extra_fields is not null or has_repeats
            or (not do_all_fit and (len(misfits) > 0 or len(conversions) > 0))
            then cast(json as varchar) end as record,
    misfits, conversions
from explained"""


def _quick_value(field: InputField, given: str) -> str:
    """Return the typed value of a field's JSON text, right where it fits."""
    match field.type:
        case "id":
            return _unquoted(given)
        case "text":
            return f"case when {_has_escapes(given)} then {given} ->> '$' else {_unquoted(given)} end"
        case "flag":
            return f"cast({given} as varchar) = 'true'"
        case "time":
            return f"{_quick_moment(given)} at time zone 'UTC'"
        case "json":
            return given
        case "number" | "count" | "date" | "ids":
            return f"try_cast(cast({given} as varchar) as {DUCKDB_INPUT_TYPES[field.type]})"


def _fits(field: InputField, given: str) -> str:
    """Return the condition under which the quick value is exactly the one that arrived."""
    text = f"cast({given} as varchar)"
    match field.type:
        case "id":
            return f"starts_with({text}, '\"') and not {_has_escapes(given)} and {_has_only_sound_characters(text)}"
        case "text":
            return f"starts_with({text}, '\"')"
        case "number":
            return f"isfinite(try_cast({text} as double))"  # a text keeps its quotes here, and so is no number
        case "count":
            return f"cast(try_cast({text} as bigint) as varchar) = {text}"
        case "flag":
            return f"{text} in ('true', 'false')"
        case "time":
            return f"starts_with({text}, '\"') and {_is_in_calendar(_quick_moment(given), 'timestamptz')}"
        case "json":
            return f"starts_with({text}, '{_OPENINGS[JSON_CONTAINERS[field.name]]}')"
        case "date" | "ids":
            return "false"  # rare and small: the careful way decides


def _unquoted(given: str) -> str:
    return f"substring(cast({given} as varchar), 2, length(cast({given} as varchar)) - 2)"


def _has_escapes(given: str) -> str:
    return f"contains(cast({given} as varchar), chr(92))"


def _quick_moment(given: str) -> str:
    return f"try_cast({_unquoted(given)} as timestamptz)"  # a cast to TIMESTAMP ignores the offset


def _careful_value(field: InputField, found: str, text: str) -> str:
    """Return the value of a present field, NULL for a misfit; ``text`` is the value without quotes."""
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
            return f"case when {found} = '{JSON_CONTAINERS[field.name]}' then cast({text} as json) end"


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


def has_earlier_rows(data_set: InputDataSet) -> str:
    """Return a query of whether anything landed before; binds $load_number."""
    return f"select exists (select 1 from {data_set.raw_table} where load_number < $load_number)"


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


def run_days(typed: str) -> str:
    """Return a query of the first and newest day of typed runs whose times fit each other and do not pass $latest."""
    statuses = ", ".join(f"'{status}'" for status in RUN_STATUSES)
    return f"""
select min(cast(start_time as date)), max(cast(coalesce(end_time, start_time) as date)) from ({typed})
where run_id is not null and mission_id is not null and status in ({statuses})
    and start_time <= $latest and (end_time is null or end_time between start_time and $latest)"""
