"""Alike requests made one, and its answer taken apart again; imports nothing of hotserve."""
