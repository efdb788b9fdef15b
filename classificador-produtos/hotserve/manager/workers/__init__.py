"""The front workers, from the manager: starting them, what they are sent, what they count."""
