"""Numbers by region and scale."""
