"""Reading two streams: containers, image folders, pairing in time, modality encodings."""
