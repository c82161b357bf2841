"""Validate: raw records become typed, valid rows of ``staging``; what is refused or odd goes to ``quality``."""

from mission_pipeline.validate.stage import stage_valid_records, stage_valid_reference_data

__all__ = ["stage_valid_records", "stage_valid_reference_data"]
