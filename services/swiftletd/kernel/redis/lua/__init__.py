"""What the scripts of all services share."""
