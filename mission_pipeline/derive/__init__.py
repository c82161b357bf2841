"""staging → marts: what follows from the telemetry without any judgement by day. Reads no raw table, judges nothing."""
