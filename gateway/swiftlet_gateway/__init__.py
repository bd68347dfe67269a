"""Builds the configuration of the Envoy gateway from the protos."""
