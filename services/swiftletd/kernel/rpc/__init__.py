"""The gRPC server that all services share."""
