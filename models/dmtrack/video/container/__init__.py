"""Video files and ROS bags: opening, decoding, time stamps, and what headers claim."""
