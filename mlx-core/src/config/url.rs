//! `url::Url` as the type of a setting.

use super::{ConfigValue, Reader};
use crate::value::{Node, Value};
use schemars::{Schema, SchemaGenerator, json_schema};
use url::Url;

/// An absolute URL by the WHATWG URL Standard: <https://url.spec.whatwg.org/>.
impl ConfigValue for Url {
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        const EXPECTED: &str = "an absolute URL such as `https://example.com/`";
        let Value::String(_) = node.value else {
            cx.expected(EXPECTED, node);
            return None;
        };
        let text = cx.string(node)?;
        let url = Url::parse(&text).ok();
        if url.is_none() {
            cx.unparsed(EXPECTED, &text, node);
        }
        url
    }
    fn write(&self) -> serde_json::Value {
        self.as_str().into()
    }
    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "uri"})
    }
}
