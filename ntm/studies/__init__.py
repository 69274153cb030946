"""Studies: which of many models learns what, each trained and judged alike, and a page that tells."""
