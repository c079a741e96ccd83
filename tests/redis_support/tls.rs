//! The certificates of a server that speaks TLS, made anew for each by `openssl`.
//!
//! Keeps no key in the tree.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// How long a certificate is valid.
const DAYS: &str = "2";

/// A certificate authority, a server's certificate by it, and an authority that signed nothing.
#[derive(Clone)]
pub(crate) struct Certificates {
    pub(crate) ca: PathBuf,
    pub(crate) other_ca: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificates {
    /// Makes them in a folder, for a server of these names, like `DNS:localhost,IP:127.0.0.1`.
    pub(crate) fn make(folder: &Path, names: &str) -> Self {
        let path = |name: &str| folder.join(name);
        for authority in ["ca", "other-ca"] {
            run(
                folder,
                &format!(
                    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days {DAYS} \
                 -subj /CN=planbus-test-{authority} -keyout {authority}.key -out {authority}.crt"
                ),
            );
        }
        fs::write(path("server.ext"), format!("subjectAltName={names}\n")).expect("writes");
        run(
            folder,
            "req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
             -subj /CN=planbus-test-server -keyout server.key -out server.csr",
        );
        run(
            folder,
            &format!(
                "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days {DAYS} \
             -extfile server.ext -out server.crt"
            ),
        );
        Self {
            ca: path("ca.crt"),
            other_ca: path("other-ca.crt"),
            certificate: path("server.crt"),
            key: path("server.key"),
        }
    }
}

fn run(folder: &Path, arguments: &str) {
    let mut openssl = Command::new("openssl");
    openssl.args(arguments.split_whitespace()).current_dir(folder).stdin(Stdio::null());
    let output = openssl.output().expect("openssl starts: ./test installs it");
    assert!(output.status.success(), "openssl: {}", String::from_utf8_lossy(&output.stderr));
}
