"""Executes missions: plan, routing, agents, approvals, journal, telemetry. Reads the marts, writes raw data."""
