"""Classifying many products at once: rows in, rows with their category out, in chunks.

Data flows one way: `inputs` opens the tables, an engine (`pool`, or Spark) answers for each chunk,
`io.sinks` or `io.database` keep the answers; `job` ties them together.
"""
