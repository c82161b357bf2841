"""The store's history, one revision a release that changed it: a store of an older release is brought up to date.

What a revision says is never changed again. ``database.py`` runs them; there is no ``alembic.ini``.
"""
