"""jotgate: the gate that JWTs open (RFC 7519 s1 says that JWT is pronounced "jot")."""

__version__ = "0.1.0"
