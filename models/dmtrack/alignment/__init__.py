"""How two cameras go together: in space (a homography) and in time (an offset)."""
