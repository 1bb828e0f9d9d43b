"""What objects look like: built-in kinds from a shipped table, custom kinds from their definitions; decoding, validation and OpenAPI of both."""

from kubesim.schema.duplicates import duplicates
from kubesim.schema.model import Model, Schemas

__all__ = ["Model", "Schemas", "duplicates"]
