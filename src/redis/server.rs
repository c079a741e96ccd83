//! stub
/// stub
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ServerInfo {
    /// stub
    pub warnings: Vec<String>,
}
