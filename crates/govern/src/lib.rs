//! The governed table: policy filter, masks, barrier, compaction
