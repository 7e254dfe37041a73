//! squbed-video
