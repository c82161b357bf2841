"""What the derived tables mean, day by day: scores, trends, triggers, status, confidence, and what to do first.

Pure functions of arrays, frames and policy; only ``tables``, ``verdict`` and ``reconciliation`` read or write the
build. No phrasing: that is the brief's.
"""
