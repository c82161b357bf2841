"""A small web page on this machine where people decide at gates: what is asked, the result, approve or reject."""
