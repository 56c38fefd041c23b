//! One message of OpenSSH's sshd: bytes in, what it says out. Pure.
