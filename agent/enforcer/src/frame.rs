//! Frames: how requests and answers lie in bytes.
//!
//! Every count is bounded, and checked before anything is kept. Nothing has two spellings.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// No frame is longer, in bytes.
pub const LARGEST: usize = 256 * 1024;

/// The first byte of a frame.
const VERSION: u8 = 1;

/// Bytes, or a value, that make no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this makes no frame: {0}")]
pub struct Malformed(pub(crate) &'static str);

/// What has a place in a frame. Nothing outside of this package is.
pub trait Framed: Sized {
    /// How many of it a list may have.
    const MOST: usize = 0;

    /// Puts it behind what a frame has.
    ///
    /// # Errors
    /// There is more of something than may be, or a network has host bits.
    fn write(&self, frame: &mut Vec<u8>) -> Result<(), Malformed>;

    /// Takes it from where it is read.
    ///
    /// # Errors
    /// It is not there.
    fn read(frame: &mut Reader<'_>) -> Result<Self, Malformed>;

    /// A whole frame of it.
    ///
    /// # Errors
    /// It cannot be written, or is too long.
    fn encode(&self) -> Result<Vec<u8>, Malformed> {
        let mut frame = vec![VERSION];
        self.write(&mut frame)?;
        match frame.len() > LARGEST {
            true => Err(Malformed("it is too long")),
            false => Ok(frame),
        }
    }

    /// What a whole frame says.
    ///
    /// # Errors
    /// It is none of this.
    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > LARGEST {
            return Err(Malformed("it is too long"));
        }
        let mut reader = Reader(bytes);
        if u8::read(&mut reader)? != VERSION {
            return Err(Malformed("it is of another version"));
        }
        let value = Self::read(&mut reader)?;
        match reader.0.is_empty() {
            true => Ok(value),
            false => Err(Malformed("something is left over")),
        }
    }
}

/// Bytes that are being read.
#[derive(Debug)]
pub struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let taken = self.0.split_first_chunk();
        let (taken, rest) = taken.ok_or(Malformed("it ends too early"))?;
        self.0 = rest;
        Ok(*taken)
    }
}

/// A structure: its fields, one after the other; and what must be so of them together.
macro_rules! fields {
    ($type:ident { $($field:ident),* } $(most $most:expr;)? $(sound $sound:expr;)?) => {
        impl $crate::frame::Framed for $type {
            $(const MOST: usize = $most;)?

            fn write(&self, frame: &mut Vec<u8>) -> Result<(), $crate::frame::Malformed> {
                $($sound(self)?;)?
                $($crate::frame::Framed::write(&self.$field, frame)?;)*
                Ok(())
            }

            fn read(
                frame: &mut $crate::frame::Reader<'_>,
            ) -> Result<Self, $crate::frame::Malformed> {
                let read = Self { $($field: $crate::frame::Framed::read(frame)?),* };
                $($sound(&read)?;)?
                Ok(read)
            }
        }
    };
}

/// One of several: its number, and then its parts.
macro_rules! kinds {
    ($type:ident { $($number:literal => $kind:ident $(($($part:ident),*))? $({$($field:ident),*})?),* $(,)? } $(most $most:expr;)?) => {
        impl $crate::frame::Framed for $type {
            $(const MOST: usize = $most;)?

            fn write(&self, frame: &mut Vec<u8>) -> Result<(), $crate::frame::Malformed> {
                match self {
                    $(Self::$kind $(($($part),*))? $({ $($field),* })? => {
                        frame.push($number);
                        $($($crate::frame::Framed::write($part, frame)?;)*)?
                        $($($crate::frame::Framed::write($field, frame)?;)*)?
                    })*
                }
                Ok(())
            }

            fn read(
                frame: &mut $crate::frame::Reader<'_>,
            ) -> Result<Self, $crate::frame::Malformed> {
                match u8::read(frame)? {
                    $($number => {
                        $($(let $part = $crate::frame::Framed::read(frame)?;)*)?
                        $($(let $field = $crate::frame::Framed::read(frame)?;)*)?
                        Ok(Self::$kind $(($($part),*))? $({ $($field),* })?)
                    })*
                    _ => Err($crate::frame::Malformed("there is no such kind of thing")),
                }
            }
        }
    };
}

pub(crate) use {fields, kinds};

macro_rules! numbers {
    ($($number:ident $(most $most:expr)?;)*) => {$(
        impl Framed for $number {
            $(const MOST: usize = $most;)?

            fn write(&self, frame: &mut Vec<u8>) -> Result<(), Malformed> {
                frame.extend(self.to_be_bytes());
                Ok(())
            }

            fn read(frame: &mut Reader<'_>) -> Result<Self, Malformed> {
                frame.take().map(Self::from_be_bytes)
            }
        }
    )*};
}

numbers!(u8 most LARGEST / 4; u16; u32 most 16; u64;);

impl Framed for [u8; 32] {
    const MOST: usize = 64;

    fn write(&self, frame: &mut Vec<u8>) -> Result<(), Malformed> {
        frame.extend(self);
        Ok(())
    }

    fn read(frame: &mut Reader<'_>) -> Result<Self, Malformed> {
        frame.take()
    }
}

impl Framed for bool {
    fn write(&self, frame: &mut Vec<u8>) -> Result<(), Malformed> {
        u8::from(*self).write(frame)
    }

    fn read(frame: &mut Reader<'_>) -> Result<Self, Malformed> {
        match u8::read(frame)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed("neither yes nor no")),
        }
    }
}

impl<T: Framed> Framed for Option<T> {
    fn write(&self, frame: &mut Vec<u8>) -> Result<(), Malformed> {
        self.is_some().write(frame)?;
        self.iter().try_for_each(|it| it.write(frame))
    }

    fn read(frame: &mut Reader<'_>) -> Result<Self, Malformed> {
        match bool::read(frame)? {
            true => T::read(frame).map(Some),
            false => Ok(None),
        }
    }
}

impl<T: Framed> Framed for Vec<T> {
    fn write(&self, frame: &mut Vec<u8>) -> Result<(), Malformed> {
        let within = u32::try_from(self.len()).ok();
        let count = within.filter(|_| self.len() <= T::MOST);
        count.ok_or(TOO_MUCH)?.write(frame)?;
        self.iter().try_for_each(|it| it.write(frame))
    }

    /// Nothing is allocated ahead: a list has as much as its bytes say.
    fn read(frame: &mut Reader<'_>) -> Result<Self, Malformed> {
        let count = usize::try_from(u32::read(frame)?).ok();
        let count = count.filter(|count| *count <= T::MOST).ok_or(TOO_MUCH)?;
        let mut list = Self::new();
        for _ in 0..count {
            list.push(T::read(frame)?);
        }
        Ok(list)
    }
}

const TOO_MUCH: Malformed = Malformed("there is too much of something");

/// How long a text may be, in bytes.
pub const LONGEST_TEXT: usize = 1024;

impl Framed for String {
    const MOST: usize = 64;

    fn write(&self, frame: &mut Vec<u8>) -> Result<(), Malformed> {
        match self.len() > LONGEST_TEXT {
            true => Err(TOO_MUCH),
            false => self.as_bytes().to_vec().write(frame),
        }
    }

    fn read(frame: &mut Reader<'_>) -> Result<Self, Malformed> {
        match Self::from_utf8(Vec::read(frame)?) {
            Ok(text) if text.len() <= LONGEST_TEXT => Ok(text),
            Ok(_) => Err(TOO_MUCH),
            Err(_) => Err(Malformed("a text is not UTF-8")),
        }
    }
}

impl Framed for IpAddr {
    const MOST: usize = crate::answer::MOST_TURNED;

    fn write(&self, frame: &mut Vec<u8>) -> Result<(), Malformed> {
        match self {
            Self::V4(address) => {
                frame.push(4);
                frame.extend(address.octets());
            }
            Self::V6(address) if address.to_ipv4_mapped().is_some() => return Err(MAPPED),
            Self::V6(address) => {
                frame.push(6);
                frame.extend(address.octets());
            }
        }
        Ok(())
    }

    fn read(frame: &mut Reader<'_>) -> Result<Self, Malformed> {
        match u8::read(frame)? {
            4 => Ok(Self::V4(Ipv4Addr::from(frame.take::<4>()?))),
            6 => {
                let address = Ipv6Addr::from(frame.take::<16>()?);
                match address.to_ipv4_mapped() {
                    None => Ok(Self::V6(address)),
                    Some(_) => Err(MAPPED),
                }
            }
            _ => Err(Malformed("an address of no family")),
        }
    }
}

/// Packets of IPv4 never carry it so, and a check for one spelling would not see the other.
const MAPPED: Malformed = Malformed("an IPv4 address is written as one of IPv6");

impl Framed for IpNet {
    const MOST: usize = crate::gates::MOST_NETWORKS;

    fn write(&self, frame: &mut Vec<u8>) -> Result<(), Malformed> {
        if *self != self.trunc() {
            return Err(HOST_BITS);
        }
        self.addr().write(frame)?;
        self.prefix_len().write(frame)
    }

    fn read(frame: &mut Reader<'_>) -> Result<Self, Malformed> {
        let net = Self::new(IpAddr::read(frame)?, u8::read(frame)?);
        match net {
            Ok(net) if net == net.trunc() => Ok(net),
            Ok(_) => Err(HOST_BITS),
            Err(_) => Err(Malformed("a prefix is too long")),
        }
    }
}

const HOST_BITS: Malformed = Malformed("a network has host bits");
