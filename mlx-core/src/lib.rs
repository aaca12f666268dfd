//! wip
#![forbid(unsafe_code)]
extern crate self as mlx_core;

pub mod diagnostics;
pub mod value;
pub struct Secret;
