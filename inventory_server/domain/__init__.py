"""The words and rules of the service. Imports nothing but the standard library."""
