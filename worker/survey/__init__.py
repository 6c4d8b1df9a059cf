"""A laboratory's own survey: micrographs out as choices, answers in as labels."""
