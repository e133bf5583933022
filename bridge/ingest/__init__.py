"""Takes one socket read through the pipeline: parse, route, group, append."""
