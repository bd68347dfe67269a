"""The language of the contract: protobuf in, protobuf out."""
