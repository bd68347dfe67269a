"""What every service would write identically; knows none of them."""
