//! squbed-tensor
