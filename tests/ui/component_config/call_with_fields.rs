//! Fields in the call.

mlx_core::component_config!(
    pub struct Settings {
        size: u32,
    }
);

fn main() {}
