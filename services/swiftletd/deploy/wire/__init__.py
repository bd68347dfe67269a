"""The contract's language: protobuf in and out."""
