//! Whether an account could get in: what is answered, beside what really happens.

mod answered;
mod kernel;
mod rules;
mod shipped;
