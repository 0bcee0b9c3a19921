//! Sessions over governed tables: planning and execution
