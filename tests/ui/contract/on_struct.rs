//! The attribute on a struct.

#[mlx_core::contract(name = "ledger")]
pub struct Ledger;

fn main() {}
