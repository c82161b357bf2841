"""Lets ``python -m mission_pipeline`` be the ``mission`` command."""

from mission_pipeline.cli import main

if __name__ == "__main__":
    main()
