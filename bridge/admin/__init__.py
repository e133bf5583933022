"""What the operator and the machines around us may ask: health, readiness, status."""
