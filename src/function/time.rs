//! Buckets of time, and days and hours as clocks on the wall show them.
//!
//! A bucket begins where the calendar says so: days at midnight, weeks on Monday, months on the first, in UTC or in a zone. In a
//! zone a day has 23 or 25 hours twice a year, and an hour that comes twice is two buckets.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Builder, Int32Builder, ListBuilder, TimestampMicrosecondBuilder};
use arrow::compute::kernels::cast_utils::parse_interval_month_day_nano;
use arrow::datatypes::{DataType, Field, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::common::{Result as DfResult, exec_err};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::{Arg, Args, Function, Kind, Last, arg, optional, timestamp};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "time_bucket",
        args: &[arg("interval", Kind::Interval), arg("time", Kind::Time), optional("zone", Kind::Text)],
        about: "begin of the bucket that a time is in, in UTC or in a zone",
        example: "time_bucket('15 minutes', TIMESTAMP '2026-11-21 00:55:04') → 2026-11-21T00:45:00Z",
        returns: timestamp,
        run: time_bucket,
    },
    Function {
        name: "time_buckets",
        args: TIME_BUCKETS,
        about: "begins of all buckets from one time to another, to fill gaps: unnest and LEFT JOIN",
        example: "SELECT unnest(time_buckets('1 hour', min(time), max(time))) FROM access_log",
        returns: || DataType::List(Arc::new(Field::new_list_field(timestamp(), true))),
        run: time_buckets,
    },
    Function {
        name: "local_day",
        args: LOCAL,
        about: "day on the calendar of a zone; without one, of --tz or else of this machine",
        example: "local_day(TIMESTAMP '2026-11-21 23:30:00', 'Europe/Berlin') → 2026-11-22",
        returns: || DataType::Date32,
        run: local_day,
    },
    Function {
        name: "local_hour",
        args: LOCAL,
        about: "hour of the day, 0 to 23, on the clock of a zone; without one, of --tz or else of this machine",
        example: "local_hour(TIMESTAMP '2026-11-21 23:30:00', 'Asia/Kolkata') → 5",
        returns: || DataType::Int32,
        run: local_hour,
    },
];

const LOCAL: &[Arg] = &[arg("time", Kind::Time), optional("zone", Kind::Text)];

const TIME_BUCKETS: &[Arg] =
    &[arg("interval", Kind::Interval), arg("from", Kind::Time), arg("to", Kind::Time), optional("zone", Kind::Text)];

/// A wrong clock in a log must not fill the memory with buckets.
const MOST_BUCKETS: usize = 100_000;

const DAY: i64 = 86_400_000_000;

/// The first Monday of the epoch, in days.
const MONDAY: i64 = 4;

/// The width of buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    Micros(i64),
    Days(i64),
    Months(i64),
}

impl Width {
    fn of(interval: IntervalMonthDayNano) -> Result<Self, String> {
        let IntervalMonthDayNano { months, days, nanoseconds } = interval;
        let width = match (months, days, nanoseconds) {
            (1.., 0, 0) => Self::Months(months.into()),
            (0, 1.., 0) => Self::Days(days.into()),
            (0, 0.., 1..) if nanoseconds % 1000 == 0 => Self::Micros(i64::from(days) * DAY + nanoseconds / 1000),
            (0, _, _) => return Err("it has to be at least a microsecond, and positive".to_owned()),
            _ => return Err("months cannot be mixed with days or hours".to_owned()),
        };
        Ok(width)
    }

    /// The begin of the bucket, all in microseconds of one clock.
    fn floor(self, at: i64) -> Option<i64> {
        match self {
            Self::Micros(width) => at.checked_sub(at.rem_euclid(width)),
            Self::Days(days) => {
                let day = at.div_euclid(DAY) - MONDAY;
                (day - day.rem_euclid(days) + MONDAY).checked_mul(DAY)
            }
            Self::Months(months) => {
                let date = civil(at)?.date();
                let month = i64::from(date.year()) * 12 + i64::from(date.month()) - 1;
                let first = month - month.rem_euclid(months);
                let year = i16::try_from(first.div_euclid(12)).ok()?;
                let month = i8::try_from(first.rem_euclid(12) + 1).ok()?;
                Some(micros(Date::new(year, month, 1).ok()?.at(0, 0, 0, 0)))
            }
        }
    }

    /// The begin of the bucket in a zone.
    fn floor_in(self, at: i64, zone: &TimeZone) -> Option<i64> {
        let offset = zone.to_offset(Timestamp::from_microsecond(at).ok()?);
        let micros_of = |offset: jiff::tz::Offset| i64::from(offset.seconds()) * 1_000_000;
        let local = self.floor(at.checked_add(micros_of(offset))?)?;
        let begin = match zone.to_ambiguous_timestamp(civil(local)?).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            // The clock jumps over this time: the bucket begins with the jump.
            AmbiguousOffset::Gap { before, .. } => before,
            AmbiguousOffset::Fold { after, .. } if offset == after => after,
            AmbiguousOffset::Fold { before, .. } => before,
        };
        local.checked_sub(micros_of(begin))
    }

    fn bucket(self, at: i64, zone: Option<&TimeZone>) -> Option<i64> {
        match zone {
            None => self.floor(at),
            Some(zone) => self.floor_in(at, zone),
        }
    }

    /// The begin of the next bucket. Its distance is not always the width: days and months differ.
    fn next(self, begin: i64, zone: Option<&TimeZone>) -> Option<i64> {
        let (least, step) = match self {
            Self::Micros(width) => (width, 15 * 60 * 1_000_000),
            Self::Days(days) => (days.checked_mul(DAY)?, 15 * 60 * 1_000_000),
            Self::Months(months) => (months.checked_mul(28 * DAY)?, DAY / 2),
        };
        let mut probe = begin.checked_add(least)?;
        loop {
            let bucket = self.bucket(probe, zone)?;
            if bucket > begin {
                return Some(bucket);
            }
            probe = probe.checked_add(step)?;
        }
    }
}

/// Microseconds on a clock as a date and time; `None` beyond the years that jiff has.
fn civil(at: i64) -> Option<DateTime> {
    Some(jiff::tz::Offset::UTC.to_datetime(Timestamp::from_microsecond(at).ok()?))
}

fn micros(at: DateTime) -> i64 {
    jiff::tz::Offset::UTC.to_timestamp(at).map_or(0, Timestamp::as_microsecond)
}

/// The widths of an argument, row by row.
struct Widths<'a> {
    args: &'a Args<'a>,
    seen: Last<'a, Option<Width>>,
}

impl<'a> Widths<'a> {
    fn new(args: &'a Args<'a>) -> Self {
        Self { args, seen: Last::new() }
    }

    fn get(&mut self, row: usize) -> DfResult<Option<Width>> {
        let (args, array) = (self.args, &self.args.arrays[0]);
        if array.is_null(row) {
            return Ok(None);
        }
        if let DataType::Interval(IntervalUnit::MonthDayNano) = array.data_type() {
            let interval = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
            return Width::of(interval).map_or_else(|why| args.bad(0, why), |width| Ok(Some(width)));
        }
        let read = |text: &'a str| {
            let width = parse_interval_month_day_nano(text)
                .map_err(|_| format!("`{text}` is no interval; write '15 minutes', '1 day' or '1 month'"))
                .and_then(Width::of);
            width.map_or_else(|why| args.bad(0, why), |width| Ok(Some(width)))
        };
        self.seen.get(args.text(0).value(row), read).copied()
    }
}

/// The zones of an argument, row by row; where it is not given, one for all.
struct Zones<'a> {
    args: &'a Args<'a>,
    at: usize,
    default: Option<TimeZone>,
    seen: Last<'a, Option<TimeZone>>,
}

impl<'a> Zones<'a> {
    fn new(args: &'a Args<'a>, at: usize, default: Option<TimeZone>) -> Self {
        Self { args, at, default, seen: Last::new() }
    }

    /// `Err(())` where the zone is NULL or unknown, and so is the result.
    fn get(&mut self, row: usize) -> DfResult<Result<Option<&TimeZone>, ()>> {
        let (args, at) = (self.args, self.at);
        if !args.has(at) {
            return Ok(Ok(self.default.as_ref()));
        }
        if args.text(at).is_null(row) {
            return Ok(Err(()));
        }
        let read = |name: &'a str| match zone(name) {
            Some(zone) => Ok(Some(zone)),
            None => args.bad(at, format!("there is no time zone `{name}`; write 'Europe/Berlin' or 'UTC'")),
        };
        Ok(self.seen.get(args.text(at).value(row), read)?.as_ref().map(Some).ok_or(()))
    }
}

fn zone(name: &str) -> Option<TimeZone> {
    if name.eq_ignore_ascii_case("utc") { Some(TimeZone::UTC) } else { TimeZone::get(name).ok() }
}

fn time_bucket(args: &Args<'_>) -> DfResult<ArrayRef> {
    let times = args.time(1);
    let (mut widths, mut zones) = (Widths::new(args), Zones::new(args, 2, None));
    let mut out = TimestampMicrosecondBuilder::with_capacity(args.rows()).with_data_type(timestamp());
    for (row, time) in times.iter().enumerate() {
        let width = widths.get(row)?;
        let begin = match (width, time, zones.get(row)?) {
            (Some(width), Some(time), Ok(zone)) => width.bucket(time, zone),
            _ => None,
        };
        out.append_option(begin);
    }
    Ok(Arc::new(out.finish()))
}

fn time_buckets(args: &Args<'_>) -> DfResult<ArrayRef> {
    let (from, to) = (args.time(1), args.time(2));
    let (mut widths, mut zones) = (Widths::new(args), Zones::new(args, 3, None));
    let mut out = ListBuilder::new(TimestampMicrosecondBuilder::new().with_data_type(timestamp()));
    let mut total = 0;
    for (row, (from, to)) in from.iter().zip(to).enumerate() {
        let (Some(width), Some(from), Some(to), Ok(zone)) = (widths.get(row)?, from, to, zones.get(row)?) else {
            out.append_null();
            continue;
        };
        let mut begin = width.bucket(from, zone);
        while let Some(at) = begin.filter(|at| *at <= to) {
            total += 1;
            if total > MOST_BUCKETS {
                return exec_err!(
                    "`time_buckets` would give more than {MOST_BUCKETS} buckets; take a longer interval, or a shorter time with --since and --until"
                );
            }
            out.values().append_value(at);
            begin = width.next(at, zone);
        }
        out.append(true);
    }
    Ok(Arc::new(out.finish()))
}

/// The zone of the clocks on the wall here: the one that is shown, or the machine's.
fn local_zone(args: &Args<'_>) -> TimeZone {
    args.shown_zone.and_then(zone).unwrap_or_else(TimeZone::system)
}

fn locals<T>(args: &Args<'_>, mut each: impl FnMut(Option<DateTime>) -> T) -> DfResult<()> {
    let mut zones = Zones::new(args, 1, Some(local_zone(args)));
    for (row, time) in args.time(0).iter().enumerate() {
        let local = match (time.and_then(|time| Timestamp::from_microsecond(time).ok()), zones.get(row)?) {
            (Some(time), Ok(Some(zone))) => Some(zone.to_datetime(time)),
            _ => None,
        };
        each(local);
    }
    Ok(())
}

fn local_day(args: &Args<'_>) -> DfResult<ArrayRef> {
    let mut out = Date32Builder::with_capacity(args.rows());
    let day = |at: DateTime| i32::try_from(micros(at.date().at(0, 0, 0, 0)).div_euclid(DAY)).ok();
    locals(args, |local| out.append_option(local.and_then(day)))?;
    Ok(Arc::new(out.finish()))
}

fn local_hour(args: &Args<'_>) -> DfResult<ArrayRef> {
    let mut out = Int32Builder::with_capacity(args.rows());
    locals(args, |local| out.append_option(local.map(|at| i32::from(at.hour()))))?;
    Ok(Arc::new(out.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_microsecond()
    }

    fn shown(at: i64) -> String {
        Timestamp::from_microsecond(at).unwrap().to_string()
    }

    #[test]
    fn buckets_begin_where_the_calendar_says() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let hours = |n: i64| Width::Micros(n * 3_600_000_000);
        for (width, time, zone, begin) in [
            (hours(1), "2026-11-21T10:59:59.999999Z", None, "2026-11-21T10:00:00Z"),
            (Width::Days(1), "2026-11-21T23:30:00Z", None, "2026-11-21T00:00:00Z"),
            (Width::Days(1), "2026-11-21T23:30:00Z", Some(&berlin), "2026-11-21T23:00:00Z"),
            // A Saturday: its week began on Monday.
            (Width::Days(7), "2026-11-21T12:00:00Z", None, "2026-11-16T00:00:00Z"),
            (Width::Months(1), "2026-11-30T23:30:00Z", Some(&berlin), "2026-11-30T23:00:00Z"),
            (Width::Months(3), "2026-11-21T12:00:00Z", None, "2026-10-01T00:00:00Z"),
            (Width::Months(12), "1969-12-31T23:59:59Z", None, "1969-01-01T00:00:00Z"),
            // The hour that comes twice is two buckets, a day with it is one.
            (hours(1), "2026-10-25T00:30:00Z", Some(&berlin), "2026-10-25T00:00:00Z"),
            (hours(1), "2026-10-25T01:30:00Z", Some(&berlin), "2026-10-25T01:00:00Z"),
            (hours(6), "2026-10-25T04:30:00Z", Some(&berlin), "2026-10-24T22:00:00Z"),
            (Width::Days(1), "2026-10-25T22:30:00Z", Some(&berlin), "2026-10-24T22:00:00Z"),
        ] {
            assert_eq!(width.bucket(at(time), zone).map(shown).unwrap(), begin, "{width:?} of {time} in {zone:?}");
        }
    }

    #[test]
    fn what_is_no_width_is_refused() {
        for text in ["0 seconds", "-1 hour", "1 month 1 day", "1 nanosecond"] {
            assert!(Width::of(parse_interval_month_day_nano(text).unwrap()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_bucket_holds_its_time_and_buckets_follow_without_gaps(
            time in -62_000_000_000_000_000_i64..200_000_000_000_000_000,
            width in prop_oneof![
                // What divides a day: other widths have no sense of their own in the hour that comes twice.
                prop::sample::select(vec![1_i64, 60, 300, 900, 1800, 3600, 7200, 6 * 3600]).prop_map(|s| Width::Micros(s * 1_000_000)),
                (1_i64..40).prop_map(Width::Days),
                (1_i64..40).prop_map(Width::Months),
            ],
            zone in prop_oneof![
                Just(None),
                prop_oneof![Just("Europe/Berlin"), Just("America/Sao_Paulo"), Just("Australia/Lord_Howe"), Just("Asia/Kolkata")]
                    .prop_map(Some)
            ],
        ) {
            let zone = zone.map(|name| TimeZone::get(name).unwrap());
            let begin = width.bucket(time, zone.as_ref()).unwrap();
            prop_assert!(begin <= time);
            prop_assert_eq!(width.bucket(begin, zone.as_ref()).unwrap(), begin);
            let next = width.next(begin, zone.as_ref()).unwrap();
            prop_assert!(begin < next && time < next);
            prop_assert_eq!(width.bucket(next, zone.as_ref()).unwrap(), next);
        }

        #[test]
        fn no_time_is_too_far_off(time in any::<i64>()) {
            for width in [Width::Micros(i64::MAX), Width::Days(i64::from(i32::MAX)), Width::Months(i64::from(i32::MAX))] {
                let berlin = TimeZone::get("Europe/Berlin").unwrap();
                let _ = (width.bucket(time, None), width.bucket(time, Some(&berlin)));
            }
        }
    }
}
