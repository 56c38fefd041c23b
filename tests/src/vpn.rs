//! A real server of OpenVPN on one host, with an authority of its own, and real clients on another.

use anyhow::Result;

use crate::host::Host;

/// Makes an authority, a server and clients in `/etc/openvpn/pki`: `ada`, and `bob`, whose certificate
/// is revoked; and `eve`, whom another authority certified under the name of `ada`.
const PKI: &str = r#"
umask 077
mkdir -p /etc/openvpn/pki; cd /etc/openvpn/pki
key() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1.key "${@:2}"; }
authority() {
    mkdir -p $1.d; touch $1.d/index.txt; echo 01 > $1.d/serial; echo 01 > $1.d/crlnumber
    printf '[ca]\ndefault_ca=it\n[it]\ndir=%s.d\ndatabase=%s.d/index.txt\nserial=%s.d/serial
crlnumber=%s.d/crlnumber\nnew_certs_dir=%s.d\ndefault_md=sha256\ndefault_days=30
default_crl_days=30\npolicy=any\n[any]\ncommonName=supplied\n[client]\nkeyUsage=digitalSignature\nextendedKeyUsage=clientAuth
[server]\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth\n' $1 $1 $1 $1 $1 > $1.cnf
    key $1 -x509 -days 30 -subj "/CN=$1" -out $1.crt
}
certify() { # certify AUTHORITY FILE NAME KIND
    key $2 -subj "/CN=$3" -out $2.csr
    openssl ca -batch -config $1.cnf -cert $1.crt -keyfile $1.key -extensions $4 -in $2.csr \
        -out $2.crt -notext
}
exec 2> log
authority house; authority street
certify house server server server
certify house ada ada client
certify house bob bob client
certify street eve ada client
openssl ca -config house.cnf -cert house.crt -keyfile house.key -revoke bob.crt
openssl ca -config house.cnf -cert house.crt -keyfile house.key -gencrl -out crl.pem
"#;

/// Where the server's clients get their addresses.
pub const INSIDE: &str = "10.99.";

/// Sets a server up and starts it: on UDP, telling the journal, clients need a certificate; and on
/// TCP, writing `/var/log/openvpn/door.log`, they need a password as well, which is `correct`.
pub fn serve(host: &Host) -> Result<()> {
    host.sh(PKI)?;
    let common = "dev tun\ndh none\nca /etc/openvpn/pki/house.crt\ncert /etc/openvpn/pki/server.crt\n\
        key /etc/openvpn/pki/server.key\ncrl-verify /etc/openvpn/pki/crl.pem\nkeepalive 2 8\nverb 3\n\
        topology subnet\n";
    let home = format!("{common}port 1194\nproto udp\nserver {INSIDE}1.0 255.255.255.0\n");
    let door = format!(
        "{common}port 1195\nproto tcp-server\nserver {INSIDE}2.0 255.255.255.0\n\
         script-security 2\nauth-user-pass-verify /etc/openvpn/check via-file\n\
         log-append /var/log/openvpn/door.log\n"
    );
    let check = b"#!/bin/sh\n[ \"$(sed -n 2p \"$1\")\" = correct ]\n";
    host.write("/etc/openvpn/server/home.conf", home.as_bytes(), 0o644)?;
    host.write("/etc/openvpn/server/door.conf", door.as_bytes(), 0o644)?;
    host.write("/etc/openvpn/check", check, 0o755)?;
    host.sh(
        "mkdir -p /var/log/openvpn
         systemctl start openvpn-server@home openvpn-server@door || {
             journalctl -n 40 -u 'openvpn-server@*' --no-pager; cat /var/log/openvpn/door.log; exit 1; }",
    )
    .map(drop)
}

/// Gives a client what it needs to be `who`.
pub fn equip(server: &Host, client: &Host, who: &str) -> Result<()> {
    for file in ["house.crt", &format!("{who}.crt"), &format!("{who}.key")] {
        let text = server.sh(&format!("cat /etc/openvpn/pki/{file}"))?;
        client.write(&format!("/root/vpn/{file}"), text.as_bytes(), 0o600)?;
    }
    Ok(())
}

/// Connects as `who` in the background: to `1194 udp`, or to `1195 tcp-client` with a password. It
/// tries once, and stays connected until [`disconnect`].
pub fn connect(
    server: &Host,
    client: &Host,
    who: &str,
    door: &str,
    secret: Option<&str>,
) -> Result<()> {
    let login = match secret {
        Some(password) => {
            client.write(
                "/root/vpn/login",
                format!("{who}\n{password}\n").as_bytes(),
                0o600,
            )?;
            "--auth-user-pass /root/vpn/login --auth-nocache"
        }
        None => "",
    };
    // Over TCP the end of the connection is its own farewell.
    let farewell = match door.ends_with("udp") {
        true => "--explicit-exit-notify 1",
        false => "",
    };
    client
        .sh(&format!(
            "systemd-run -q -u vpn --collect openvpn --client --dev tun --remote {} {door} --nobind \
             --ca /root/vpn/house.crt --cert /root/vpn/{who}.crt --key /root/vpn/{who}.key {login} \
             --remote-cert-tls server --connect-retry-max 1 --tls-exit --verb 3 {farewell}",
            server.address()
        ))
        .map(drop)
}

/// Ends the connection, whether it stands or not.
pub fn disconnect(client: &Host) -> Result<()> {
    client
        .sh("systemctl stop vpn 2> /dev/null || true")
        .map(drop)
}
