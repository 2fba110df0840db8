"""Video in and out, colour, faces: the only room that decodes video or starts ffmpeg."""
