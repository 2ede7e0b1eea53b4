"""Descents over horizons and chains of networks whose kinks are rounded off, less and less."""
