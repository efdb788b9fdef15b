"""hotserve's page in a real Chromium: real models, a real registry, real processes."""
