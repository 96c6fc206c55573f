//! stub
use super::{issue::Issue, value::Value};
#[derive(Debug, thiserror::Error)]
#[error("x")]
/// x
pub struct InvalidFields;
/// x
pub fn fields(_: Option<&Issue>, _: Option<&Issue>) -> (Value, Value) { (Value::Null, Value::Null) }
/// x
pub fn apply(_: &mut Issue, _: &Value) -> Result<(), InvalidFields> { Ok(()) }
