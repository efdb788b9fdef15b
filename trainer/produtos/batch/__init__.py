"""Classifying many products at once: rows in, rows with their category out, in chunks.

Data flows one way: `storage` finds the files, `csv_rows` and `tables` turn them into chunks,
`predictor` answers for each chunk, `sinks` or `database` keep the answers; `job` ties them
together.
"""
