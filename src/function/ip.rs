//! Addresses, which our tables hold as text. An IPv4 address that came in over IPv6 (`::ffff:192.0.2.7`) is that IPv4 address.

use std::net::IpAddr;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, Int32Array};
use arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use ipnet::IpNet;

use super::{Arg, Args, Function, Kind, Last, arg, flags, optional, texts};

const IP: &[Arg] = &[arg("ip", Kind::Text)];

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "ip_in_cidr",
        args: &[arg("ip", Kind::Text), arg("cidr", Kind::Text)],
        about: "whether an address is in a network",
        example: "ip_in_cidr('192.0.2.7', '192.0.2.0/24') → true",
        returns: || DataType::Boolean,
        run: ip_in_cidr,
    },
    Function {
        name: "ip_network",
        args: &[arg("ip", Kind::Text), arg("bits", Kind::Whole), optional("bits6", Kind::Whole)],
        about: "network of so many bits that an address is in; for IPv6 bits6, or else 64",
        example: "ip_network('192.0.2.7', 24) → 192.0.2.0/24",
        returns: || DataType::Utf8View,
        run: ip_network,
    },
    Function {
        name: "ip_is_private",
        args: IP,
        about: "whether an address is no public one: private, shared, link-local, loopback, unique local",
        example: "ip_is_private('10.1.2.3') → true",
        returns: || DataType::Boolean,
        run: |args| flags(args.text(0).iter().map(|ip| Some(is_private(parse(ip?)?)))),
    },
    Function {
        name: "ip_version",
        args: IP,
        about: "4 or 6",
        example: "ip_version('2001:db8::1') → 6",
        returns: || DataType::Int32,
        run: |args| {
            let version = |ip: Option<&str>| Some(if parse(ip?)?.is_ipv4() { 4 } else { 6 });
            Ok(Arc::new(args.text(0).iter().map(version).collect::<Int32Array>()))
        },
    },
];

/// An address, without the interface that some logs put behind it (`fe80::1%eth0`).
pub(super) fn parse(text: &str) -> Option<IpAddr> {
    let address = text.split_once('%').map_or(text, |(address, _)| address);
    address.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

fn parse_network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

fn ip_in_cidr(args: &Args<'_>) -> DfResult<ArrayRef> {
    let mut network = Last::new();
    let mut found = Vec::with_capacity(args.rows());
    for (ip, cidr) in args.text(0).iter().zip(args.text(1)) {
        let Some(cidr) = cidr else {
            found.push(None);
            continue;
        };
        let read = |text| match parse_network(text) {
            Some(network) => Ok(Some(network)),
            None => args.bad(1, format!("`{text}` is no network; write '192.0.2.0/24' or '2001:db8::/32'")),
        };
        let network = *network.get(cidr, read)?;
        found.push(network.zip(ip.and_then(parse)).map(|(network, ip)| network.contains(&ip)));
    }
    flags(found.into_iter())
}

fn ip_network(args: &Args<'_>) -> DfResult<ArrayRef> {
    let mut found = Vec::with_capacity(args.rows());
    for (row, (ip, bits)) in args.text(0).iter().zip(args.whole(1)).enumerate() {
        let bits6 = if args.has(2) { args.whole(2).is_valid(row).then(|| args.whole(2).value(row)) } else { Some(64) };
        let (Some(bits), Some(bits6)) = (bits, bits6) else {
            found.push(None);
            continue;
        };
        let checked = |at, bits: i64, most: u8| match u8::try_from(bits) {
            Ok(bits) if bits <= most => Ok(Some(bits)),
            _ => args.bad(at, format!("{bits} is not between 0 and {most}")),
        };
        let (bits, bits6) = (checked(1, bits, 32)?, if args.has(2) { checked(2, bits6, 128)? } else { Some(64) });
        let network = ip.and_then(parse).and_then(|ip| IpNet::new(ip, if ip.is_ipv4() { bits? } else { bits6? }).ok());
        found.push(network.map(|network| network.trunc().to_string()));
    }
    texts(found.into_iter())
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            // 100.64.0.0/10 is shared by the customers of a provider (RFC 6598).
            let is_shared = ip.octets()[0] == 100 && ip.octets()[1] & 0b1100_0000 == 64;
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || is_shared
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_known() {
        for ip in ["10.0.0.1", "172.31.255.255", "192.168.1.1", "127.0.0.1", "169.254.1.1", "100.64.0.1", "0.0.0.0"] {
            assert!(is_private(parse(ip).unwrap()), "{ip}");
        }
        for ip in ["::1", "::", "fd00::1", "fe80::1%eth0", "::ffff:10.0.0.1"] {
            assert!(is_private(parse(ip).unwrap()), "{ip}");
        }
        for ip in ["9.255.255.255", "172.32.0.1", "100.128.0.1", "2001:db8::1", "::ffff:192.0.2.7"] {
            assert!(!is_private(parse(ip).unwrap()), "{ip}");
        }
    }
}
