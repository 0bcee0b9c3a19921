//! Records of what happened
