"""A small ray caster: shapes, textures, light and sensors for the sample clips."""
