//! What every format has to do, as a suite that each runs on tables written by its own writer.
