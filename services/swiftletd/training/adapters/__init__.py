"""What training needs from the outside world."""
