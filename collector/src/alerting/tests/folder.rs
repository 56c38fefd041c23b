//! Without servers, messages are files.

use super::*;

fn read_all(folder: &Path) -> Vec<(String, String)> {
    let mut all: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    all.sort();
    all
}

#[tokio::test]
async fn with_nothing_configured_a_critical_alert_is_an_email_and_an_sms_in_the_folder() {
    for fresh in stores().await {
        let folder = tempfile::tempdir().unwrap();
        let messages = folder.path().join("messages");
        let life = Life::begin(&fresh, impatient(&messages)).await;
        let before = last(&life.store).await.unwrap();
        life.raise(&brute_force(Severity::Critical)).await;
        life.deliver_all().await;
        let all = read_all(&messages);
        let names: Vec<_> = all.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(names[0].starts_with("001-email-W-") && names[0].ends_with("-opened.eml"));
        assert!(names[1].starts_with("002-sms-W-") && names[1].ends_with("-opened.txt"));
        assert!(
            all[1]
                .1
                .contains("CRITICAL db-3: sshd brute force from 203.0.113.7")
        );
        assert!(all[0].1.contains("Check access from it"), "{}", all[0].1);
        let live = after(&life.store, before, 10).await.unwrap();
        let kinds: Vec<_> = live.iter().map(|one| (one.kind, one.state)).collect();
        let told = ("message", "written");
        assert_eq!(kinds, [("incident", "open"), told, told]);
    }
}

#[tokio::test]
async fn a_reload_that_names_another_folder_is_followed() {
    let fresh = stores().await.remove(0);
    let folders = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let life = Life::begin(&fresh, impatient(folders.0.path())).await;
    life.deliver(async {
        life.raise(&brute_force(Severity::Warning)).await;
        life.quiet().await;
        life.reload
            .send(Arc::new(impatient(folders.1.path())))
            .unwrap();
        life.resolve(&brute_force(Severity::Warning)).await;
        life.quiet().await;
    })
    .await;
    assert_eq!(read_all(folders.0.path()).len(), 1);
    assert_eq!(read_all(folders.1.path()).len(), 1);
}

#[test]
fn old_messages_go_and_what_is_not_ours_stays() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "007-sms-W-7K3F-opened.txt",
        "1234-email-W-7K3F-over.eml",
        "notes.txt",
    ] {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    let then = std::fs::metadata(folder.path().join("notes.txt")).unwrap();
    let then = then.modified().unwrap();
    let hour = Duration::from_secs(3_600);
    let prune = |oldest| super::super::folder::prune(folder.path(), oldest).unwrap();
    assert_eq!((prune(then - hour), prune(then + hour)), (0, 2));
    assert!(folder.path().join("notes.txt").exists());
}
