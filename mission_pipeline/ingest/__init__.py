"""Ingest: the files of the raw-data folder land in ``raw`` as they are. Whether a record is valid is not asked here."""

from mission_pipeline.ingest.land import LandingReport, land_raw_files
from mission_pipeline.ingest.newest_day import newest_run_day

__all__ = ["LandingReport", "land_raw_files", "newest_run_day"]
