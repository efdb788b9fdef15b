"""The process behind `hotserve`: follows the registry, starts, switches and stops versions."""
