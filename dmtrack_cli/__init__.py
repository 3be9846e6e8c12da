"""The terminal program `dmtrack`: reads options, calls the library, prints. No algorithms."""
