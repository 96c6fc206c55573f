//! Placeholder while the real module is written beside it.
/// Canonical rendering.
#[must_use]
pub fn render(_: &super::issue::Issue) -> String {
    unimplemented!()
}
