"""The ground floor: errors, seeds, version, protocols and records. Everything above imports from here."""
