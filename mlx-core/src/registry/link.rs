//! How registrations get into the binary, and out of it.
//!
//! A crate that is in Cargo.toml but never named by any code is not linked, and registers nothing. [`link!`]
//! names it, and leaves an expectation that the registry checks.

use super::Registration;

/// A crate that `link!` named, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkExpectation {
    /// The crate's own name in Rust code.
    pub krate: &'static str,
    /// The module of the `link!`.
    pub module: &'static str,
    /// The file of the `link!`.
    pub file: &'static str,
    /// Its line.
    pub line: u32,
}

inventory::collect!(LinkExpectation);

/// Registrations made with `#[mlx_plugin(…, registration = "linkme")]`.
#[cfg(feature = "linkme")]
#[linkme::distributed_slice]
pub static LINKME: [Registration];

/// Links plugin crates into the program, so that the registry finds their plugins:
///
/// ```ignore
/// mlx_core::link!(mlx_plugins, my_plugins);
/// ```
///
/// Each crate must register a plugin, or `link!` crates that do, as one does that gathers plugin crates and
/// re-exports them. A crate that Cargo.toml renames is named with its own name beside it: `link!(ours = my_plugins)`.
/// Another is reported by [`Registry::problems`](crate::Registry::problems) and refused by `activate`.
#[macro_export]
macro_rules! link {
    (@own $krate:ident) => { ::core::stringify!($krate) };
    (@own $krate:ident $own:ident) => { ::core::stringify!($own) };
    ($($krate:ident $(= $own:ident)?),+ $(,)?) => {
        const _: () = {
            $(
                #[allow(unused_extern_crates)]
                extern crate $krate as _;
                $crate::__private::inventory::submit! {
                    $crate::registry::LinkExpectation {
                        krate: $crate::link!(@own $krate $($own)?),
                        module: ::core::module_path!(),
                        file: ::core::file!(),
                        line: ::core::line!(),
                    }
                }
            )+
        };
    };
    ($($other:tt)*) => {
        ::core::compile_error!(
            "expected plugin crates as Rust code names them: `link!(my_plugins, other_plugins)`, \
             or `link!(renamed = its_own_name)` for one that Cargo.toml renames"
        );
    };
}

/// Everything that was registered at link time, in no particular order: the linker's order is not stable.
pub(super) fn registrations() -> Vec<&'static Registration> {
    let found = inventory::iter::<Registration>.into_iter();
    #[cfg(feature = "linkme")]
    let found = found.chain(LINKME.iter());
    found.collect()
}

/// Every expectation that `link!` left.
pub(super) fn expectations() -> Vec<LinkExpectation> {
    inventory::iter::<LinkExpectation>.into_iter().copied().collect()
}
