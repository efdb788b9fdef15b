"""Registered versions: which one is meant, compared, promoted, rolled back."""
