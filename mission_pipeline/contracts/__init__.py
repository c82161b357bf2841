"""What goes in and what every table promises: names, types, units, keys, allowed values.

The warehouse's comments, Dagster's column schemas and docs/warehouse.md are generated from here.
No table's columns are listed anywhere else.
"""
