"""The SQL of ingest, made from the input contracts: how a JSON record becomes a row of ``raw``. Runs nothing.

Every record takes one of two ways. One ``json_transform`` gives all its fields as JSON text; where each text is seen to
be of the expected type, or of one that is often given in its place, it is cast: quick. Otherwise the record is left to
the careful way, which asks for the JSON types and decides whether a value converts without loss or is a misfit. The
careful way is right for every record; the quick one only spares its price.
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
"""Temporary table of the same records in their types.

``row``; the fields; ``extra_fields``; ``record``, where the fields do not say it all; ``misfits`` and ``conversions``,
NULL where there are none; ``is_decided``: false while the careful way has yet to look.
"""

_INTEGERS = "('UBIGINT', 'BIGINT')"
_NUMBERS = "('UBIGINT', 'BIGINT', 'DOUBLE')"
_MAX_EXACT_INTEGER = 2**53
_NUMBER_IN_QUOTES = r"[-+]?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?"
_INTEGER_IN_QUOTES = "[-+]?[0-9]+"
_INTEGER_AS_WRITTEN = "-?[1-9][0-9]*|0"
"""What DuckDB gives back in the digits in which it arrived."""
_FIRST_TIME, _LAST_TIME = "0001-01-01", "9999-12-31"

_FORMATS = {False: "array", True: "newline_delimited"}


def records_of_file(*, has_lines: bool) -> str:
    """Return a query of a file's records, as ``STAGED_RECORDS`` holds them; binds $path, $compression."""
    return (
        "select row_number() over () as row, json, cast(null as varchar) as arrived "
        f"from read_json_objects($path, format = '{_FORMATS[has_lines]}', compression = $compression)"
    )


def stage_with_duckdb(*, has_lines: bool) -> str:
    """Return the statement that reads a file into the temporary table; binds $path, $compression.

    DuckDB reads a file with one core, and a table with all: the detour makes it faster where all are free, for a
    quarter more work.
    """
    return f"create or replace temporary table {STAGED_RECORDS} as {records_of_file(has_lines=has_lines)}"


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


def insert_records(data_set: InputDataSet) -> str:
    """Return the statement that lands the typed records; binds $file, $file_order, $load_number."""
    fields = ", ".join(field.name for field in data_set.fields)
    return (
        f"insert into {data_set.raw_table} "
        f"(file, file_order, row, load_number, is_current, {fields}, extra_fields, record, misfits, conversions) "
        f"select $file, $file_order, row, $load_number, true, {fields}, extra_fields, record, misfits, conversions "
        f"from {TYPED_RECORDS}"
    )


def typed_records() -> str:
    """Return a query of the typed records."""
    return f"from {TYPED_RECORDS}"


def count_undecided() -> str:
    """Return a query of the number of typed records that the quick way left to the careful one."""
    return f"select count(*) from {TYPED_RECORDS} where not is_decided"


def keep_typed(query: str) -> str:
    """Return the statement that keeps the typed records that a query finds."""
    return f"create or replace temporary table {TYPED_RECORDS} as {query}"


def decided_quickly(data_set: InputDataSet, records: str = f"from {STAGED_RECORDS}") -> str:
    """Return a query of records in their types, as far as the quick way goes; ``records``: a query of them."""
    names = [field.name for field in data_set.fields]
    as_json = ", ".join(f'"{name}": "JSON"' for name in names)
    quick_values = ", ".join(f"{_quick_value(field)} as {field.name}" for field in data_set.fields)
    values = ", ".join(_final_value(field) for field in data_set.fields)
    do_fit = " and ".join(f"(given.{field.name} is null or {_does_fit(field)})" for field in data_set.fields)
    given = " + ".join(f"cast(given.{name} is not null as integer)" for name in names)
    arrived_otherwise = [(field.name, _arrived_otherwise(field)) for field in data_set.fields]
    is_converted = " or ".join(f"coalesce({condition}, false)" for _, condition in arrived_otherwise)
    converted = ", ".join(f"case when {condition} then '{name}' end" for name, condition in arrived_otherwise)
    return f"""
with parsed as (
    select row, json, arrived,
        json_transform(json, '{{{as_json}}}') as given,
        json_keys(json) as names,
        len(names) as fields,
        not contains(cast(json as varchar), chr(92)) and not contains(cast(json as varchar), chr(65533)) as is_plain
    from ({records})
),
quick as (
    select row, json, arrived, given, names, fields, {quick_values} from parsed
),
decided as (
    select *,
        coalesce(starts_with(cast(json as varchar), '{{') and {do_fit}, false) as do_all_fit,
        case when fields > {given} then json_type(json, [{_paths(data_set)}]) end as found
    from quick
),
explained as (
    select *, {_extra_fields(data_set)} as extra_fields,
        case when fields > list_count(found) then fields > len(list_distinct(names)) else false end as has_repeats,
        case when {is_converted} then list_filter([{converted}], lambda field: field is not null) end as conversions
    from decided
)
select row, {values}, extra_fields,
    case when arrived is not null then arrived
        when extra_fields is not null or conversions is not null then cast(json as varchar) end as record,
    cast(null as varchar[]) as misfits,
    conversions,
    do_all_fit and not has_repeats as is_decided
from explained"""


def decide_carefully(data_set: InputDataSet) -> str:
    """Return the statement that gives the records that are undecided their types; those without replace them."""
    fields = data_set.fields
    values, misfits, conversions = [], [], []
    for place, field in enumerate(fields, start=1):
        found, text = f"found[{place}]", f"texts[{place}]"
        values.append(f"{_careful_value(field, found, text)} as {field.name}")
        misfits.append(f"case when {found} <> 'NULL' and {field.name} is null then '{field.name}' end")
        is_converted = f"{field.name} is not null and {_is_converted(field, found)}"
        conversions.append(f"case when {is_converted} then '{field.name}' end")
    return f"""
insert into {TYPED_RECORDS}
with parsed as (
    select row, json, arrived,
        coalesce(starts_with(cast(json as varchar), '{{'), false) as is_object,
        json_type(json, [{_paths(data_set)}]) as found,
        json_extract_string(json, [{_paths(data_set)}]) as texts,
        json_keys(json) as names,
        len(names) as fields
    from {STAGED_RECORDS}
    where row in (select row from {TYPED_RECORDS} where not is_decided)
),
valued as (
    select row, json, arrived, is_object, found, coalesce(fields > len(list_distinct(names)), false) as has_repeats,
        {", ".join(values)},
        {_extra_fields(data_set)} as extra_fields
    from parsed
),
explained as (
    select *,
        case when not is_object then ['{WHOLE_RECORD}']
            else list_filter([{", ".join(misfits)}, case when has_repeats then '{REPEATED_NAMES}' end],
                lambda field: field is not null) end as faults,
        case when is_object then list_filter([{", ".join(conversions)}], lambda field: field is not null) end
            as converted
    from valued
)
select row, {", ".join(field.name for field in fields)}, extra_fields,
    case when arrived is not null then arrived
        when extra_fields is not null or len(faults) > 0 or len(converted) > 0 then cast(json as varchar) end as record,
    case when len(faults) > 0 then faults end as misfits,
    case when len(converted) > 0 then converted end as conversions,
    true as is_decided
from explained"""


def forget_undecided() -> str:
    """Return the statement that drops the records that were decided anew."""
    return f"delete from {TYPED_RECORDS} where not is_decided"


def _paths(data_set: InputDataSet) -> str:
    return ", ".join(f"'$.{field.name}'" for field in data_set.fields)


def _extra_fields(data_set: InputDataSet) -> str:
    """Return the fields that nobody specified, as an object; ``found`` holds the types of the others that are there."""
    no_fields = ", ".join(f'"{field.name}": null' for field in data_set.fields)
    return f"case when fields > list_count(found) then nullif(json_merge_patch(json, '{{{no_fields}}}'), '{{}}') end"


def _quick_value(field: InputField) -> str:
    """Return the value of a field's JSON text, as far as the text is of a kind that often comes.

    Plain is a record without an escape or a broken character anywhere: then every text in it stands as it is meant.
    """
    given = f"given.{field.name}"
    text = f"cast({given} as varchar)"
    is_quoted = f"starts_with({text}, '\"')"
    match field.type:
        case "id" | "text":
            is_verbatim = f"not contains({text}, chr(92))"
            if field.type == "id":
                is_sound = f"is_plain or ({is_verbatim} and {_has_only_sound_characters(text)})"
                quoted = f"case when {is_sound} then {_unquoted(text)} end"
            else:
                quoted = f"case when is_plain or {is_verbatim} then {_unquoted(text)} else {given} ->> '$' end"
            return (
                f"case when {is_quoted} then {quoted} "
                f"when regexp_full_match({text}, '{_INTEGER_AS_WRITTEN}') then {text} end"
            )
        case "number" | "count":
            type_, form = ("double", _NUMBER_IN_QUOTES) if field.type == "number" else ("bigint", _INTEGER_IN_QUOTES)
            unquoted = _unquoted(text)
            return (
                f"case when {is_quoted} "
                f"then case when regexp_full_match({unquoted}, '{form}') then try_cast({unquoted} as {type_}) end "
                f"else try_cast({text} as {type_}) end"
            )
        case "flag":
            return f"case {text} when 'true' then true when 'false' then false end"
        case "time":
            # A cast to TIMESTAMP would ignore the offset.
            return f"case when {is_quoted} then try_cast({_unquoted(text)} as timestamptz) end"
        case "json":
            return f"case when starts_with({text}, '{_OPENINGS[JSON_CONTAINERS[field.name]]}') then {given} end"
        case "date" | "ids":
            return f"cast(null as {DUCKDB_INPUT_TYPES[field.type]})"  # rare and small: the careful way decides


def _does_fit(field: InputField) -> str:
    """Return the condition under which the quick value of a given field says exactly what arrived."""
    text = f"cast(given.{field.name} as varchar)"
    match field.type:
        case "number":
            return f"isfinite({field.name})"
        case "count":
            return f"(starts_with({text}, '\"') or cast({field.name} as varchar) = {text}) and {field.name} is not null"
        case "time":
            return _is_in_calendar(field.name, "timestamptz")
        case "id" | "text" | "flag" | "json" | "date" | "ids":
            return f"{field.name} is not null"


def _arrived_otherwise(field: InputField) -> str:
    """Return the condition under which the quick value of a field that fits was converted from another JSON type."""
    is_quoted = f"starts_with(cast(given.{field.name} as varchar), '\"')"
    match field.type:
        case "id" | "text":
            return f"not {is_quoted}"
        case "number" | "count":
            return is_quoted
        case "flag" | "time" | "json" | "date" | "ids":
            return "false"  # left to the careful way


def _final_value(field: InputField) -> str:
    return f"{field.name} at time zone 'UTC' as {field.name}" if field.type == "time" else field.name


def _unquoted(text: str) -> str:
    return f"substring({text}, 2, length({text}) - 2)"


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


def run_days() -> str:
    """Return a query of the first and newest day of typed runs whose times fit each other and do not pass $latest."""
    statuses = ", ".join(f"'{status}'" for status in RUN_STATUSES)
    return f"""
select min(cast(start_time as date)), max(cast(coalesce(end_time, start_time) as date)) from {TYPED_RECORDS}
where run_id is not null and mission_id is not null and status in ({statuses})
    and start_time <= $latest and (end_time is null or end_time between start_time and $latest)"""
