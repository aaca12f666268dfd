use super::*;
use mlx_core::ErrorKind;
use std::{fs, path::Path};

/// Shows up in a message only if a key does.
const CANARY: &str = "canary-0123456789abcdef";

fn key(name: &str, key: &str, scopes: &[&str]) -> ApiKey {
    ApiKey { name: name.into(), key: key.into(), scopes: scopes.iter().map(|&scope| scope.into()).collect() }
}

async fn start(keys: Vec<ApiKey>, secrets_dir: Option<&Path>) -> Result<ApiKeys> {
    let config = ApiKeysConfig { keys, secrets_dir: secrets_dir.map(Into::into) };
    ApiKeys::initialize(config, &InitContext::alone("api-keys")).await
}

/// Every form in which an error could show a key.
fn all_forms(error: &Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text += &format!("{cause} {cause:?}");
        source = cause.source();
    }
    text
}

async fn refused(keys: Vec<ApiKey>) -> String {
    let error = start(keys, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let text = all_forms(&error);
    assert!(!text.contains("canary"), "{text}");
    text
}

#[tokio::test]
async fn a_key_is_known_as_api_key_and_as_bearer_token() {
    let keys = start(vec![key("other", "another-key-of-16", &[]), key("dashboard", CANARY, &["predict:iris"])], None)
        .await
        .unwrap();
    for credential in [Credential::ApiKey(CANARY.into()), Credential::Bearer(CANARY.into())] {
        let principal = keys.authenticate(credential).await.unwrap();
        assert_eq!(principal, Principal::new("dashboard", ["predict:iris"]));
    }
}

#[tokio::test]
async fn whoever_is_not_known_is_denied_without_detail() {
    let keys = start(vec![key("dashboard", CANARY, &["*"])], None).await.unwrap();
    let password = Credential::Password { user: "dashboard".into(), password: CANARY.into() };
    let prefix = Credential::ApiKey("canary-0123456789abcde".into());
    for credential in [Credential::ApiKey("".into()), Credential::Bearer("canary-wrong".into()), prefix, password] {
        let error = keys.authenticate(credential).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Denied, "the credential is not known"));
    }
}

#[tokio::test]
async fn scopes_decide_what_is_allowed() {
    let keys = start(vec![key("a", CANARY, &[])], None).await.unwrap();
    for (scopes, action, resource, allowed) in [
        (&["predict:iris"][..], "predict", "iris", true),
        (&["predict:iris"], "predict", "wine", false),
        (&["predict:iris"], "predict", "iris2", false),
        (&["predict:iris"], "read", "iris", false),
        (&["predict:*"], "predict", "wine", true),
        (&["predict:*"], "read", "metrics", false),
        (&["*"], "read", "metrics", true),
        (&["read:metrics", "predict:a"], "predict", "a", true),
        (&[], "predict", "iris", false),
    ] {
        let principal = Principal::new("a", scopes.iter().copied());
        assert_eq!(
            keys.authorize(principal, action, resource).await.unwrap(),
            allowed,
            "{scopes:?} {action}:{resource}"
        );
    }
}

#[tokio::test]
async fn duplicates_are_refused_by_name_only() {
    let text = refused(vec![key("a", CANARY, &[]), key("a", "canary-another-key", &[])]).await;
    assert!(text.contains("two keys are named `a`"), "{text}");
    let text = refused(vec![key("a", CANARY, &[]), key("b", CANARY, &[])]).await;
    assert!(text.contains("`a` and `b` have the same key"), "{text}");
}

#[tokio::test]
async fn unusable_keys_are_refused() {
    assert!(refused(vec![key("a", "canary-short", &[])]).await.contains("too short"));
    assert!(refused(vec![key("a", "canary-0123456789\n", &[])]).await.contains("line break"));
    assert!(refused(vec![key("a", "canary 0123456789", &[])]).await.contains("HTTP header"));
    assert!(refused(vec![]).await.contains("neither `keys` nor `secrets_dir`"));
}

#[tokio::test]
async fn scopes_that_never_match_are_refused() {
    for scope in ["predict", "predict:", ":iris", "pre dict:iris", "*:iris", "predict:ir*", ""] {
        assert!(refused(vec![key("a", CANARY, &[scope])]).await.contains("scope"), "{scope}");
    }
}

#[tokio::test]
async fn debug_shows_names_and_no_keys() {
    let keys = start(vec![key("dashboard", CANARY, &["*"])], None).await.unwrap();
    let text = format!("{keys:?} {:?}", keys.health().await.unwrap());
    assert!(text.contains("dashboard") && !text.contains("canary"), "{text}");
}

#[tokio::test]
async fn secrets_are_files() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("password"), "canary\r\n").unwrap();
    fs::write(directory.path().join("two-lines"), "canary\n\n").unwrap();
    let keys = start(vec![], Some(directory.path())).await.unwrap();
    assert_eq!(keys.secret("password").await.unwrap().expose(), "canary");
    assert_eq!(keys.secret("two-lines").await.unwrap().expose(), "canary\n");
    let error = keys.secret("missing").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("the secret `missing`"), "{error}");
    assert!(keys.health().await.unwrap().is_healthy());
    drop(directory);
    assert!(!keys.health().await.unwrap().is_healthy());
}

#[tokio::test]
async fn secrets_do_not_leave_their_directory() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("secrets");
    fs::create_dir_all(directory.join("folder")).unwrap();
    fs::write(parent.path().join("outside"), "canary").unwrap();
    let keys = start(vec![], Some(&directory)).await.unwrap();
    for name in [
        "../outside",
        "..",
        ".",
        "",
        "folder/../../outside",
        "/etc/passwd",
        "..\\outside",
        "c:outside",
        "a\0b",
        ".hidden",
    ] {
        assert_eq!(keys.secret(name).await.unwrap_err().kind(), ErrorKind::Invalid, "{name}");
    }
    assert!(keys.secret("folder").await.unwrap_err().to_string().contains("not a file"));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(parent.path().join("outside"), directory.join("escape")).unwrap();
        assert_eq!(keys.secret("escape").await.unwrap_err().kind(), ErrorKind::Denied);
        // As Kubernetes lays them out.
        fs::create_dir(directory.join("..data")).unwrap();
        fs::write(directory.join("..data/token"), "canary").unwrap();
        std::os::unix::fs::symlink("..data/token", directory.join("token")).unwrap();
        assert_eq!(keys.secret("token").await.unwrap().expose(), "canary");
    }
}

#[tokio::test]
async fn secrets_of_the_wrong_form_are_not_quoted() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("binary"), b"canary\xff").unwrap();
    fs::write(directory.path().join("long"), "canary".repeat(1 << 18)).unwrap();
    let keys = start(vec![], Some(directory.path())).await.unwrap();
    for (name, why) in [("binary", "not UTF-8"), ("long", "longer than")] {
        let error = keys.secret(name).await.unwrap_err();
        let text = all_forms(&error);
        assert!(text.contains(why) && !text.contains("canary"), "{text}");
        // As bytes, too: `[99, 97, …`.
        assert!(!text.contains("99, 97"), "{text}");
    }
}

#[tokio::test]
async fn without_a_directory_there_are_no_secrets() {
    let keys = start(vec![key("a", CANARY, &[])], None).await.unwrap();
    assert_eq!(keys.secret("x").await.unwrap_err().kind(), ErrorKind::Unsupported);
    let error = start(vec![], Some(Path::new("/nowhere/at/all"))).await.unwrap_err();
    assert!(error.to_string().contains("/nowhere/at/all: make the directory"), "{error}");
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(start(vec![], Some(file.path())).await.unwrap_err().to_string().contains("not a directory"));
}
