//! An attribute that belongs in the file.

mlx_core::component_config! {
    #[config(rename_all = "camelCase")]
    pub struct Settings = "ui/component_config/call_attribute.json";
}

fn main() {
    let _: Option<Settings> = None;
}
