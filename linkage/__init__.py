"""Privacy-preserving record linkage between agencies that may not share client lists."""

import os as _os

__version__ = "0.1.0"

# Before anything imports grpc, which reads it then and only then: no suite of TLS 1.2 but one that
# nobody can use, so that TLS 1.3 is all there is. `linkage.rpc.tls` says more, and checks it.
_os.environ["GRPC_SSL_CIPHER_SUITES"] = "ECDHE-PSK-CHACHA20-POLY1305"
# Every refused handshake, that of the hub with itself included, would be a line on the screen.
_os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
