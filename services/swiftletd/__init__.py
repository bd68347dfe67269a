"""The services of Swiftlet, the runner of their children and the suite that starts all of it."""
