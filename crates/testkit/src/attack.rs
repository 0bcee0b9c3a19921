//! Machinery that hunts for leaks without being told where they are.
//!
//! * [`worlds`]: twin worlds, which differ only in what their reader may not see, and a third where that is not even
//!   stored.
//! * [`sql`]: random queries over them, biased towards leaks, which can be made simpler.
//! * [`answer`]: what came back for a query, without what differs by chance.
//! * [`canary`]: values planted in everything hidden, and the search for them in received bytes.
//!
//! Everything random comes from a seed that is printed: the same seed asks the same questions.

pub mod answer;
pub mod canary;
pub mod sql;
pub mod worlds;
