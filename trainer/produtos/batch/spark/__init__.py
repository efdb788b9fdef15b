"""Batch jobs on Spark: it says where work is done, and has it done again where a machine is lost.

The rows, their answers and the output are the code of every other job: `worker` runs on the
cluster, `engine` cuts the input and puts the answers in order.
"""
