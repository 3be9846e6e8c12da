"""The page on which a person draws and corrects boxes, and its server."""
