"""Everything that makes a product classifier: data set, text, model, evaluation, registry.

The entry points beside this package (`train.py`, `sweep.py`) are thin; the work is here. Nothing
is imported here, so that checking a data set costs no import of scikit-learn or MLflow.
"""
