"""What `docker/` holds, tried: the containers run, and what others are to make of the rest."""
