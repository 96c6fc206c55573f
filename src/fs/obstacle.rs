//! What has the name of a file or folder, and is never opened.

use super::PathError;

/// What stands where a regular file or a folder belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Obstacle {
    /// A symbolic link.
    #[error("it is a symbolic link, which is not followed")]
    Link,
    /// A folder, fifo, socket or device.
    #[error("it is not a regular file")]
    NotRegular,
    /// A file that would change under its other names, too, wherever they are.
    #[error("it has another name (a hard link); copy it and put the copy in its place")]
    HardLink,
}

impl From<Obstacle> for std::io::Error {
    fn from(obstacle: Obstacle) -> Self {
        Self::other(obstacle)
    }
}

impl PathError {
    /// What is in the way, if that is the cause.
    #[must_use]
    pub fn obstacle(&self) -> Option<Obstacle> {
        self.source.get_ref()?.downcast_ref().copied()
    }
}
