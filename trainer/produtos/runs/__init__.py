"""What is recorded on the tracking server: single runs and the sweep."""
