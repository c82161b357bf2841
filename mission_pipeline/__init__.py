"""Mission Pipeline: from the telemetry of AI-run missions to one executive decision, deterministically."""

__version__ = "0.1.0"
