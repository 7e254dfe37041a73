//! squbed-stats
