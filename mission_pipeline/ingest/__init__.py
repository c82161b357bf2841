"""Ingest: the files of the raw-data folder land in ``raw`` as they are. Whether a record is valid is not asked here."""
