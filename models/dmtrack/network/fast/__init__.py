"""The network rearranged to run quickly: packed, recorded, or by ONNX Runtime; the same function."""
