//! Whom sshd refuses.

use super::each;

#[test]
fn unknown_users() {
    each(&[
        (
            "Invalid user admin from 192.0.2.1 port 50022",
            "invalid-user Refusal Failure admin? at 192.0.2.1 50022 (7.3+)",
        ),
        (
            "Invalid user  from 192.0.2.1 port 50022",
            "invalid-user Refusal Failure ? at 192.0.2.1 50022 (7.3+)",
        ),
        (
            "Invalid user a from 198.51.100.1 port 2 from 192.0.2.1 port 50022",
            "invalid-user Refusal Failure a from 198.51.100.1 port 2? at 192.0.2.1 50022 (7.3+)",
        ),
        (
            "Invalid user admin from 192.0.2.1",
            "invalid-user Refusal Failure admin? at 192.0.2.1 (6.6-7.2)",
        ),
        (
            "Invalid user caf\\303\\251\\\\\\n from 192.0.2.1 port 1",
            "invalid-user Refusal Failure café\\\\\\n? at 192.0.2.1 1 (7.3+)",
        ),
        (
            "input_userauth_request: invalid user a from 198.51.100.1 [preauth]",
            "invalid-user-request Refusal Failure a from 198.51.100.1? (6.6-7.4)",
        ),
    ]);
}

#[test]
fn accounts_that_may_not() {
    each(&[
        (
            "User bob not allowed because account is locked",
            "not-allowed Refusal Failure bob (6.6+)",
        ),
        (
            "User bob not allowed because shell /bin/x does not exist",
            "not-allowed Refusal Failure bob (6.6+)",
        ),
        (
            "User bob not allowed because shell /bin/x is not executable",
            "not-allowed Refusal Failure bob (6.6+)",
        ),
        (
            "User bob not allowed because /etc/nologin exists",
            "not-allowed Refusal Failure bob (6.6+)",
        ),
        (
            "User bob from 192.0.2.1 not allowed because not listed in AllowUsers",
            "not-allowed Refusal Failure bob at 192.0.2.1 (6.6+)",
        ),
        (
            "User bob from host.example.org not allowed because listed in DenyUsers",
            "not-allowed Refusal Failure bob (6.6+)",
        ),
        (
            "User bob from 192.0.2.1 not allowed because none of user's groups are listed in AllowGroups",
            "not-allowed Refusal Failure bob at 192.0.2.1 (6.6+)",
        ),
        ("User bob not allowed because of the weather", "nothing"),
    ]);
}

#[test]
fn accounts_at_their_end_and_root() {
    each(&[
        (
            "Account bob has expired",
            "account-expired Refusal Failure bob (6.6+)",
        ),
        (
            "User bob password has expired (password aged)",
            "password-expired Refusal Failure bob (6.6+)",
        ),
        (
            "ROOT LOGIN REFUSED FROM 192.0.2.1 port 5",
            "root-refused Refusal Failure at 192.0.2.1 5 (7.3+)",
        ),
        (
            "ROOT LOGIN REFUSED FROM 192.0.2.1",
            "root-refused Refusal Failure at 192.0.2.1 (6.6-7.2)",
        ),
        (
            "Root login accepted for forced command.",
            "root-forced-command Notice Unknown (6.6+)",
        ),
        (
            "fatal: Access denied for user bob by PAM account configuration [preauth]",
            "access-denied Refusal Failure bob (6.6+)",
        ),
        (
            "fatal: Username too long from 192.0.2.1 port 5",
            "username-too-long Refusal Failure at 192.0.2.1 5 (8.5+)",
        ),
        (
            "administratively prohibited connection for invalid user x from 192.0.2.1 port 5",
            "prohibited Refusal Failure x? at 192.0.2.1 5 (9.9+)",
        ),
        (
            "Login name a does not match stored username b",
            "login-name-mismatch Refusal Failure (6.6-7.9)",
        ),
    ]);
}
