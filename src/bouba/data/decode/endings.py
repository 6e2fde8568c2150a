"""Endings of files that Pillow, libsndfile and FFmpeg read here; what a file holds is settled by its content."""

IMAGE_ENDINGS = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".avif", ".avifs"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".jp2", ".j2k", ".jpx", ".jpf", ".j2c", ".jpc", ".mpo", ".apng"),
    *(".ico", ".tga", ".qoi", ".sgi", ".pcx", ".dds"),
)
AUDIO_ENDINGS = (
    *(".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".aifc", ".au", ".snd", ".caf"),
    *(".w64", ".rf64", ".voc", ".sph", ".nist"),
)
VIDEO_ENDINGS = (
    *(".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".3gp", ".3g2", ".wmv", ".asf", ".flv", ".f4v"),
    *(".ogv", ".qt", ".m2ts", ".mts", ".vob", ".mxf", ".y4m", ".dv"),
)
