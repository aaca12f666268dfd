//! The typed handle to a plugin that can be replaced while it is being called.
//!
//! A [`Slot`] is the place of one plugin in a running platform. It holds one [`Instance`], which
//! is the plugin under all its contracts, and exchanges it for another in one step. A
//! [`Handle<dyn Contract>`](Handle) names a slot: every call made through it takes a [`Lease`] on
//! the instance published at that moment, or borrows it for the length of a call that is not
//! async, and the instance is kept until its last lease is gone.
//! What was replaced comes back as [`Retired`], whose owner waits for the calls in flight,
//! cancels the rest after a deadline, and only then stops the plugin.
//!
//! # The algorithm
//!
//! ```text
//!            Slot                                      one generation
//!  ┌──────────────────────────┐
//!  │ first     Mutex<Option> ─┼──▶ Arc<Share> ──┐
//!  │ stripe 0  Mutex { share ─┼──▶ Arc<Share> ──┤
//!  │                  filled }┼────────────┐    ├──▶ Arc<Generation { Instance, drained }>
//!  │ stripe 1  Mutex { share ─┼──▶ Arc<Share> ──┤                       │ by type
//!  │ stripe 2  …              │        ▲   │    │                       ▼
//!  └──────────────────────────┘        │   │    │           Arc<C>   Arc<C>
//!    thread ── index % stripes ──▶ lease   │    │             ▲
//!                                          ▼    │             │
//!    Handle<C> ───────────────▶ Cache<C> ArcSwapOption ──▶ Arc<Entry>
//!                                              ▲
//!                                  borrow = guard of the cache
//! ```
//!
//! - **Lease**: lock the calling thread's own stripe, clone its `Arc`, unlock. The first one through
//!   a stripe makes its share, so that a plugin few threads call has few. Threads have
//!   different stripes, each on cache lines of its own, so they do not slow each other down.
//! - **Borrow**: load the entry of the handle's cache through arc-swap, which notes the debt of one
//!   reference in a place of the calling thread, and takes the note back: two atomic operations
//!   where a lease takes four. The entry has the plugin under the handle's contract at hand, which
//!   an instance has to be searched for. Only for a call that ends before its thread does anything
//!   else, because a thread has eight such places, and past those all threads share one count.
//! - **Fill**: where the handle has no cache yet, or an empty one, lock the calling thread's stripe,
//!   look up the contract, put both into the cache, and note the cache in the stripe's list. Handles
//!   take over a cache that is in the list, so that there are few, and none for a contract that
//!   nobody borrows.
//! - **Publish**: lock all stripes, in order; empty the caches in their lists, and the stripes;
//!   exchange the first share; unlock. There is no moment at which one thread gets the new instance
//!   and another one still the old, under whichever contracts: who finds a cache empty waits for a
//!   lock. arc-swap pays all debts before its exchange returns: each borrow counts from there on.
//! - **Merge** (a plugin that was tried in a slot of its own takes the place of another one): publish
//!   there, then close the slot, which empties the caches of its handles. They are filled from the
//!   other slot from then on, and so noted there.
//! - **Drain**: the slot's own references are dropped with the exchange, so that the count of a share
//!   or entry is the number of its leases or borrows. The last one drops it; the last share or entry
//!   of a generation fires its `drained` signal.
//! - **Cancel**: each share has a signal of its own. A call that has to wait watches it, as does a
//!   stream for as long as it lives. A call that is ready at once never touches it.
//!
//! # Why not something shorter
//!
//! Nanoseconds per call with 1 and with 2 threads calling, two cores; what stands in brackets was
//! measured on a slower machine:
//!
//! | | async | sync | |
//! |---|---|---|---|
//! | `Arc<dyn _>`, nothing exchangeable | 16 / 16 (16 / 16) | 1.6 / 1.6 (1.4 / 1.4) | the floor |
//! | arc-swap, guard held during the call | 30 / 30 (28 / 28) | 5.4 / 5.4 (19.5 / 19.8) | (49 / 290) once a thread holds more than eight guards, as asynchronous callers do |
//! | arc-swap, `load_full` | (46 / 222) | (25 / 168) | one count shared by all threads |
//! | counter of calls in flight | (52 / 300) | (30 / 152) | the same |
//! | arc-swap, cached per thread | – | – | an idle thread keeps a replaced instance for ever |
//! | **striped leases**, for async calls | **45 / 46** | 13 / 13 | flat, and the end of a drain is an event |
//! | borrows of the instance | – | 9.4 / 9.5 | the same; the contract is searched for by its type at each call |
//! | **borrows from a cache** of the contract, for the others | – | **7.4 / 7.4** | the same |
//!
//! The lease, borrow, fill, publish, drain and cancel steps use no runtime's types, only a mutex, an
//! arc-swap, an atomic counter and wakers, taken from the `sync` module: `tests/handle_model.rs` compiles the same
//! files over a model checker's versions of these and searches the interleavings.

mod instance;
mod lease;
mod signal;
mod slot;
mod stream;
mod stripe;
mod sync;

pub use instance::Instance;
pub use lease::{Borrowed, Handle, Lease};
pub use slot::{InstanceLease, Retired, Slot};
pub use stream::BoxStream;
