"""A data set to hand over: what of a results folder leaves, in which forms, and what its papers say."""
