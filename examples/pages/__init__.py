"""A data job: a loop over the pages of an HTTP API that is not always there."""
