"""Wrong bytes by the million: `make fuzz`."""
