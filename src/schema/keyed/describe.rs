//! The JSON Schema of a kind, from its table.

use serde_json::{Map, Value, json};

use super::{Field, Role, Schema, Type};

impl Schema {
    /// The JSON Schema of one record as it is printed: the fields of the table and, last, the hash that `--expect`
    /// compares. What nobody but this program sets is read-only.
    #[must_use]
    pub fn json_schema(&self) -> Value {
        let mut properties: Map<String, Value> =
            self.fields.iter().map(|field| (field.name.to_owned(), describe(field))).collect();
        properties.insert(
            "hash".into(),
            json!({ "type": "string", "readOnly": true, "description": "What `--expect` compares: 16 hexadecimal digits." }),
        );
        let names: Vec<&String> = properties.keys().collect();
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": self.noun,
            "description": self.about,
            "type": "object",
            "required": names,
            "properties": properties,
        })
    }

    /// The JSON Schema of what somebody else may say of a record; `optional` are those of the required fields that are
    /// worked out where they are left out. An issue may be given by its number.
    #[must_use]
    pub fn json_schema_of_given(&self, optional: &[&str]) -> Value {
        let given: Vec<_> = self.fields.iter().filter(|field| matches!(field.role, Role::Key | Role::Given)).collect();
        let required: Vec<&str> = given
            .iter()
            .filter(|field| field.required && field.only.is_empty() && !optional.contains(&field.name))
            .map(|field| field.name)
            .collect();
        let one = |field: &Field| match field.is {
            Type::Issue => json!({
                "anyOf": [{ "type": "integer", "minimum": 1 }, describe(field)],
                "description": "The issue, by its number or by what never changes of it.",
            }),
            _ => describe(field),
        };
        let properties: Map<String, Value> = given.iter().map(|field| (field.name.to_owned(), one(field))).collect();
        json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false })
    }

    /// The JSON Schema of a list of records.
    #[must_use]
    pub fn json_schema_of_list(&self) -> Value {
        let mut items = self.json_schema();
        let dialect = items.as_object_mut().and_then(|items| items.remove("$schema"));
        json!({ "$schema": dialect, "title": format!("list of {}", self.noun), "type": "array", "items": items })
    }
}

fn describe(field: &Field) -> Value {
    let one = |name: &str| json!({ "type": name });
    let mut schema = match field.is {
        Type::Name(max) => json!({ "type": "string", "minLength": 1, "maxLength": max }),
        Type::Line(max) | Type::Text(max) => json!({ "type": "string", "maxLength": max }),
        Type::Word(words) => json!({ "type": "string", "enum": words }),
        Type::Whole(least, u64::MAX) => json!({ "type": "integer", "minimum": least }),
        Type::Whole(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Type::Flag => one("boolean"),
        Type::Time => json!({ "type": "string", "format": "date-time" }),
        Type::Url => json!({ "type": "string", "format": "uri" }),
        Type::Names(most, _) => json!({ "type": "array", "items": one("string"), "maxItems": most }),
        Type::Any(_) => json!({ "type": ["string", "number", "boolean", "array", "null"] }),
        Type::Issue => json!({
            "type": "object",
            "properties": { "created_at": one("string"), "slug": one("string") },
            "required": ["created_at", "slug"],
        }),
        Type::Actions(most, max) => json!({
            "type": "array",
            "items": {
                "type": "object",
                "properties": { "text": { "type": "string", "minLength": 1, "maxLength": max }, "done": one("boolean") },
                "required": ["text", "done"],
            },
            "maxItems": most,
        }),
    };
    let always = field.required || matches!(field.is, Type::Names(..) | Type::Actions(..));
    if let Some(object) = schema.as_object_mut() {
        if !always && let Some(Value::String(name)) = object.get("type").cloned() {
            object.insert("type".into(), json!([name, "null"]));
            if let Some(Value::Array(words)) = object.get_mut("enum") {
                words.push(Value::Null);
            }
        }
        if matches!(field.role, Role::Kept | Role::Shown) {
            object.insert("readOnly".into(), true.into());
        }
        object.insert("description".into(), field.about.into());
    }
    schema
}
