"""One module per revision of the store, in their order."""
