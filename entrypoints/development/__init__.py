"""The system on a developer's machine: its servers, its data, and a customer who tries it."""
