//! [`AccessToken`]: a name, a secret, and the tenants that its holder may see.

use std::collections::HashSet;

use super::secret::Digest;
use crate::{
    error::{Error, ErrorKind, Result},
    event::{Tenant, check_name},
};

/// The fewest and the most bytes of a secret: fewer could be guessed, more are no secret.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 16..=1_024;

/// Lets programs in: a name for people, a secret for `Authorization: Bearer`, and the tenants that may
/// be seen with it, all of them unless [narrowed](Self::tenants).
///
/// The secret itself is not kept, only its SHA-256, and neither is ever shown. A wrong field is kept
/// and returned where the token is used.
///
/// ```
/// use planbus::server::AccessToken;
///
/// let token = AccessToken::new("grafana", "3f0c6c1e52b84f5d9d0e").tenants(["acme"]);
/// assert_eq!(token.name(), "grafana");
/// ```
#[derive(Clone, Debug)]
#[must_use = "a token lets nobody in until it is given to a server"]
pub struct AccessToken {
    name: String,
    digest: Digest,
    /// All where `None`.
    tenants: Option<Vec<Tenant>>,
    fault: Option<Error>,
}

impl AccessToken {
    /// A token that sees all tenants. The name keeps the grammar of tenants; the secret is 16 to 1,024
    /// bytes of visible ASCII, and best comes from a random source.
    pub fn new(name: impl Into<String>, secret: impl AsRef<str>) -> Self {
        let (name, secret) = (name.into(), secret.as_ref());
        let is_visible = secret.bytes().all(|byte| byte.is_ascii_graphic());
        let fault = match check_name("token name", &name) {
            Err(error) => Some(wrong(error.to_string())),
            Ok(()) if !SECRET_BYTES.contains(&secret.len()) => {
                Some(wrong("token secret must be 16 to 1,024 bytes"))
            }
            Ok(()) if !is_visible => Some(wrong("token secret must be visible ASCII, without spaces")),
            Ok(()) => None,
        };
        Self { name, digest: Digest::of(secret), tenants: None, fault }
    }

    /// The tenants whose events its holder may see, in place of all.
    pub fn tenants<T>(mut self, tenants: impl IntoIterator<Item = T>) -> Self
    where
        T: TryInto<Tenant>,
        Error: From<T::Error>,
    {
        let read: Result<Vec<Tenant>, T::Error> = tenants.into_iter().map(TryInto::try_into).collect();
        let problem = match read.map_err(Error::from) {
            Ok(tenants) if tenants.is_empty() => "token tenants must be at least one".to_owned(),
            Ok(tenants) => {
                self.tenants = Some(tenants);
                return self;
            }
            Err(error) => format!("token tenants: {error}"),
        };
        // Whoever looks past the fault must not find a token that sees everything.
        self.tenants = Some(Vec::new());
        self.fault.get_or_insert_with(|| wrong(problem));
        self
    }

    /// By which it is revoked, and which the server's log shows.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads a file of tokens: a line each, `NAME TENANTS SECRET`, where `TENANTS` is `*` for all or
    /// names separated by commas. Empty lines and those that begin with `#` are left out.
    ///
    /// ```
    /// use planbus::server::AccessToken;
    ///
    /// let tokens = AccessToken::parse_file("# who    sees    secret\n\
    ///                                       grafana  *       3f0c6c1e52b84f5d9d0e\n\
    ///                                       acme-ui  acme,t2 8b1d2a6f90c74e3ab5c1\n")?;
    /// assert_eq!(tokens.len(), 2);
    /// # Ok::<(), planbus::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` names the line and what is wrong with it, and never shows what stands there: it
    /// may be a secret in the wrong place. A file without a token is refused too.
    pub fn parse_file(text: &str) -> Result<Vec<Self>> {
        let (mut tokens, mut names, mut digests) = (Vec::new(), HashSet::new(), HashSet::new());
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let refused = |problem: &str| Err(Error::invalid(&format!("line {}", at + 1), problem));
            let fields: Vec<_> = line.split_whitespace().collect();
            let [name, tenants, secret] = fields[..] else {
                return refused("must be NAME TENANTS SECRET");
            };
            let mut token = Self::new(name, secret);
            if check_name("name", name).is_err() {
                return refused("the name must be 1 to 64 letters, digits, dots, underscores and hyphens");
            }
            if let Some(fault) = &token.fault {
                return refused(&fault.to_string());
            }
            if tenants != "*" {
                token = token.tenants(tenants.split(','));
            }
            if token.fault.is_some() {
                return refused("the tenants must be `*` or names separated by commas");
            }
            if !names.insert(name) {
                return refused("the name is another token's");
            }
            if !digests.insert(token.digest) {
                return refused("the secret is another token's");
            }
            tokens.push(token);
        }
        if tokens.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "the file of tokens has no token"));
        }
        Ok(tokens)
    }

    /// The parts of a token that is valid.
    pub(super) fn parts(self) -> Result<(String, Digest, Option<Vec<Tenant>>)> {
        self.check()?;
        Ok((self.name, self.digest, self.tenants))
    }

    pub(super) fn check(&self) -> Result<()> {
        self.fault.clone().map_or(Ok(()), Err)
    }
}

fn wrong(problem: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOption, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "a-secret-of-some-bytes";

    #[test]
    fn p11_a_wrong_token_is_told_by_field() {
        let told = |token: AccessToken| token.check().expect_err("refused").to_string();
        assert!(told(AccessToken::new("no name", SECRET)).starts_with("token name"));
        assert_eq!(told(AccessToken::new("ci", "short")), "token secret must be 16 to 1,024 bytes");
        assert_eq!(told(AccessToken::new("ci", "x".repeat(1_025))), "token secret must be 16 to 1,024 bytes");
        assert!(told(AccessToken::new("ci", "a secret with spaces")).contains("visible ASCII"));
        assert!(told(AccessToken::new("ci", SECRET).tenants(["a b"])).starts_with("token tenants"));
        assert!(told(AccessToken::new("ci", SECRET).tenants::<&str>([])).starts_with("token tenants"));
        assert!(AccessToken::new("ci", "x".repeat(16)).tenants(["acme"]).check().is_ok());
    }

    #[test]
    fn a_token_never_shows_its_secret() {
        let shown = format!("{:?}", AccessToken::new("ci", SECRET).tenants(["acme"]));
        assert!(shown.contains("ci") && shown.contains("acme") && !shown.contains(SECRET), "{shown}");
        assert!(shown.contains("Digest(..)"), "{shown}");
    }

    #[test]
    fn p11_a_wrong_line_of_a_file_of_tokens_is_told_by_number_and_never_shown() {
        let good = format!("# tokens\r\n\n  ci * {SECRET}\r\nui\tacme,t2 {SECRET}2");
        let tokens = AccessToken::parse_file(&good).expect("tokens");
        assert_eq!(tokens.iter().map(AccessToken::name).collect::<Vec<_>>(), ["ci", "ui"]);
        assert_eq!((tokens[0].tenants.is_none(), tokens[1].tenants.as_ref().map(Vec::len)), (true, Some(2)));
        for wrong in [
            "ci *".to_owned(),
            format!("ci {SECRET}"),
            format!("ci * {SECRET} more"),
            format!("{SECRET}/ * ci-ci-ci-ci-ci-ci"),
            format!("ci {SECRET}/, other-other-other"),
            "ci * too-short".to_owned(),
            format!("ok * {SECRET}-1\nok * {SECRET}-2"),
            format!("ok * {SECRET}-1\nci * {SECRET}-1"),
        ] {
            let error = AccessToken::parse_file(&format!("# tokens\n{wrong}")).expect_err("refused");
            let line = 1 + wrong.lines().count();
            assert!(error.to_string().starts_with(&format!("line {line}: ")), "{error}");
            assert!(
                !error.to_string().contains(SECRET) && !error.to_string().contains("too-short"),
                "{error}"
            );
        }
        assert!(AccessToken::parse_file("# none\n").is_err(), "an empty file must not open a server");
    }
}
