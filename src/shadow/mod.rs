//! Shadows: which requests are copied, what the copies carry, and whether the answers agree.
