"""From files and frameworks to networks."""
