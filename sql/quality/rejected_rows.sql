-- Table:  quality.rejected_rows
-- Grain:  one row per rejected record in the files present
-- Reads:  raw.rejected_records
-- Nulls:  none
select
    ---------- keys
    data_set,
    file,
    row,

    ---------- attributes
    rule,
    reason,
    record
from raw.rejected_records
order by data_set, file, row
