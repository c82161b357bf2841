-- View:   marts.portfolio_snapshots_weekly
-- Grain:  one row per ISO week with a day judged: the last such day, as marts.portfolio_snapshots has it
-- Reads:  marts.portfolio_snapshots
-- Nulls:  as in marts.portfolio_snapshots; the figures of 24 hours are those of that last day, not of the week
select
    ---------- keys
    cast(date_trunc('week', snapshot_date) as date) as week_start_date,

    ---------- the last day's figures
    *  -- noqa: AM04
from marts.portfolio_snapshots
qualify
    row_number() over (partition by date_trunc('week', snapshot_date) order by snapshot_date desc) = 1
