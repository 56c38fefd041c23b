//! How connections end.

use super::each;

#[test]
fn closed_and_reset() {
    each(&[
        (
            "Connection closed by 192.0.2.1 port 5 [preauth]",
            "connection-closed Connection Unknown at 192.0.2.1 5 (7.2+)",
        ),
        (
            "Connection closed by authenticating user bob 192.0.2.1 port 5 [preauth]",
            "connection-closed Connection Failure bob at 192.0.2.1 5 (7.5+)",
        ),
        (
            "Connection closed by authenticatinguser bob 192.0.2.1 port 5",
            "connection-closed Connection Failure bob at 192.0.2.1 5 (7.5+)",
        ),
        (
            "Connection closed by invalid user  192.0.2.1 port 5 [preauth]",
            "connection-closed Connection Failure ? at 192.0.2.1 5 (7.5+)",
        ),
        (
            "Connection reset by invalid user x 198.51.100.1 port 9 192.0.2.1 port 5 [preauth]",
            "connection-reset Connection Failure x 198.51.100.1 port 9? at 192.0.2.1 5 (7.5+)",
        ),
        (
            "Disconnected from user bob 192.0.2.1 port 5",
            "disconnected SessionClosed Unknown bob at 192.0.2.1 5 (7.5+)",
        ),
        (
            "Connection closed by user bob 192.0.2.1 port 5 [postauth]",
            "connection-closed SessionClosed Unknown bob at 192.0.2.1 5 (7.5+)",
        ),
        (
            "Connection closed by 192.0.2.1",
            "connection-closed Connection Unknown at 192.0.2.1 (6.6-7.1)",
        ),
        ("Connection closed by bob 192.0.2.1 port 5", "nothing"),
        (
            "Connection closed by UNKNOWN port 65535",
            "connection-closed Connection Unknown (7.2+)",
        ),
        (
            "Connection from authenticating user bob 192.0.2.1 port 5 timed out",
            "connection-timed-out Connection Failure bob at 192.0.2.1 5 (7.5+)",
        ),
        (
            "Timeout, client not responding from user bob 192.0.2.1 port 5",
            "client-timeout SessionClosed Unknown bob at 192.0.2.1 5 (7.7+)",
        ),
        (
            "terminating inactive connection from user bob 192.0.2.1 port 5",
            "inactive SessionClosed Unknown bob at 192.0.2.1 5 (9.2+)",
        ),
    ]);
}

#[test]
fn with_the_peers_own_text_behind() {
    each(&[
        (
            "Received disconnect from 192.0.2.1 port 5:11: Bye from 198.51.100.1 port 9:11: x [preauth]",
            "received-disconnect Connection Unknown at 192.0.2.1 5 (7.2+)",
        ),
        (
            "error: Received disconnect from 192.0.2.1 port 5:3: com.example: No [preauth]",
            "received-disconnect Connection Unknown at 192.0.2.1 5 (7.2+)",
        ),
        (
            "Received disconnect from 2001:db8::1: 11: bye",
            "received-disconnect Connection Unknown at 2001:db8::1 (6.6-7.1)",
        ),
        (
            "Unable to negotiate with 192.0.2.1 port 5: no matching host key type found. Their offer: x 198.51.100.1 port 9: no matching cipher found. Their offer: y [preauth]",
            "negotiation-failed Connection Unknown at 192.0.2.1 5 (7.3+)",
        ),
        (
            "fatal: Unable to negotiate with 192.0.2.1: no matching cipher found. Their offer: y [preauth]",
            "negotiation-failed Connection Unknown at 192.0.2.1 (7.0-7.1)",
        ),
        (
            "Unable to negotiate with invalid user x 198.51.100.1 port 9: no matching cipher found. Their offer: y 192.0.2.1 port 5: no matching cipher found. Their offer: z [preauth]",
            "negotiation-failed Connection Unknown (7.5+)",
        ),
        (
            "Disconnecting authenticating user bob 192.0.2.1 port 5: Too many authentication failures [preauth]",
            "disconnecting Connection Failure bob at 192.0.2.1 5 (7.5+)",
        ),
        (
            "Disconnecting invalid user x 192.0.2.1 port 5: Change of username or service not allowed: (x,ssh-connection) -> (y,ssh-connection) [preauth]",
            "disconnecting Connection Failure x? at 192.0.2.1 5 (7.5+)",
        ),
        (
            "Disconnecting invalid user x 192.0.2.1 port 5: Change of username or service not allowed: (x,s) -> (z 198.51.100.1 port 9: a,s) [preauth]",
            "disconnecting Connection Failure (7.5+)",
        ),
        (
            "Disconnecting: Too many authentication failures [preauth]",
            "disconnecting Connection Unknown (6.6-7.4)",
        ),
    ]);
}

#[test]
fn with_the_place_in_front() {
    each(&[
        (
            "banner exchange: Connection from 192.0.2.1 port 5: invalid format",
            "connection-failed Connection Unknown at 192.0.2.1 5 (8.3+)",
        ),
        (
            "ssh_dispatch_run_fatal: Connection from authenticating user bob 192.0.2.1 port 5: message authentication code incorrect [preauth]",
            "connection-failed Connection Failure bob at 192.0.2.1 5 (7.5+)",
        ),
        (
            "process_output: ssh_packet_write_poll: Connection from user bob 192.0.2.1 port 5: Broken pipe",
            "connection-failed SessionClosed Unknown bob at 192.0.2.1 5 (7.5+)",
        ),
        (
            "fatal: ssh_dispatch_run_fatal: Connection to 192.0.2.1: unexpected internal error",
            "connection-failed Connection Unknown at 192.0.2.1 (7.0-7.1)",
        ),
        (
            "error: Connection from user bob 192.0.2.1 port 5: refusing non-sftp session",
            "sftp-only Refusal Failure bob at 192.0.2.1 5 (8.0+)",
        ),
        (
            "error: Received disconnect from 198.51.100.9 port 9:3: x: File name too long",
            "received-disconnect Connection Unknown (7.2+)",
        ),
        (
            "error: x: Connection from 198.51.100.1 port 9: y",
            "nothing",
        ),
        (
            "a stranger wrote: Connection from 198.51.100.1 port 9: y",
            "nothing",
        ),
    ]);
}
