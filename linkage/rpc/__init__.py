"""gRPC at the rim: channels, servers, the policy table, and the one place errors are translated."""
