"""An aggregation: three APIs asked in parallel, joined by ports."""
