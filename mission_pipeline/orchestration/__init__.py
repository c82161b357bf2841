"""Runs the stages through Dagster: assets, checks, job, schedule, sensor, and the history that command and UI share.

The only room that imports dagster. What is done stands in the other rooms; here it is put in order and reported.
"""
