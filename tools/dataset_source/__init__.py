"""What the shipped data set is written from: lists of products, phrases, and what makes them dirty.

Standard library only: `generate_dataset.py` must run before any environment exists.
"""
