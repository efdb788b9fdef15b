"""The front workers as the manager sees them: starting them, what they are sent, what they count."""
