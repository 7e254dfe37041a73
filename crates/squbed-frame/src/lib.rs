//! squbed-frame
