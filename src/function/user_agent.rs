//! What a user agent says it is. Anyone may say anything: these are for statistics, not for access.

use std::collections::HashMap;
use std::sync::LazyLock;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use isbot::Bots;

use super::{Arg, Args, Function, Kind, arg, flags, texts};

const USER_AGENT: &[Arg] = &[arg("user_agent", Kind::Text)];

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "is_bot",
        args: USER_AGENT,
        about: "whether a user agent is one of a crawler, a monitor or a library",
        example: "is_bot('Mozilla/5.0 (compatible; Googlebot/2.1)') → true",
        returns: || DataType::Boolean,
        run: is_bot,
    },
    Function {
        name: "browser",
        args: USER_AGENT,
        about: "family of the browser that a user agent is of, roughly; NULL if it is of none that is known",
        example: "browser('Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0') → Firefox",
        returns: || DataType::Utf8View,
        run: |args| texts(args.text(0).iter().map(|agent| first_of(BROWSERS, agent?))),
    },
    Function {
        name: "os",
        args: USER_AGENT,
        about: "operating system that a user agent names, roughly; NULL if it names none that is known",
        example: "os('Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0') → Linux",
        returns: || DataType::Utf8View,
        run: |args| texts(args.text(0).iter().map(|agent| first_of(SYSTEMS, agent?))),
    },
    Function {
        name: "device",
        args: USER_AGENT,
        about: "what a user agent runs on: bot, phone, tablet, tv, desktop; NULL if it does not say",
        example: "device('Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Mobile/15E148') → phone",
        returns: || DataType::Utf8View,
        run: |args| {
            let mut known = HashMap::new();
            texts(args.text(0).iter().map(|agent| *known.entry(agent?).or_insert_with_key(|agent| device(agent))))
        },
    },
];

static BOTS: LazyLock<Bots> = LazyLock::new(Bots::default);

fn is_bot(args: &Args<'_>) -> DfResult<ArrayRef> {
    // A batch has few agents, many times each, and a look at one is costly.
    let mut known = HashMap::new();
    flags(args.text(0).iter().map(|agent| agent.map(|agent| *known.entry(agent).or_insert_with(|| BOTS.is_bot(agent)))))
}

/// What is in the text of a browser and of no other one above it: nearly all claim to be Chrome and Safari too.
const BROWSERS: &[(&str, &str)] = &[
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Opera", "Opera"),
    ("Vivaldi/", "Vivaldi"),
    ("YaBrowser/", "Yandex Browser"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chromium/", "Chromium"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("MSIE ", "Internet Explorer"),
    ("Trident/", "Internet Explorer"),
    ("Lynx/", "Lynx"),
    ("w3m/", "w3m"),
];

const SYSTEMS: &[(&str, &str)] = &[
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iOS"),
    ("iPad", "iOS"),
    ("iPod", "iOS"),
    ("Mac OS X", "macOS"),
    ("Macintosh", "macOS"),
    ("CrOS", "ChromeOS"),
    ("FreeBSD", "FreeBSD"),
    ("OpenBSD", "OpenBSD"),
    ("NetBSD", "NetBSD"),
    ("Linux", "Linux"),
    ("Darwin", "macOS"),
];

/// What devices say of themselves, the most telling first: an Android without `Mobile` is a tablet, and nearly all say more than one of these.
const DEVICES: &[(&str, &str)] = &[
    ("SmartTV", "tv"),
    ("SMART-TV", "tv"),
    ("HbbTV", "tv"),
    ("AppleTV", "tv"),
    ("BRAVIA", "tv"),
    ("Roku", "tv"),
    ("CrKey", "tv"),
    ("iPad", "tablet"),
    ("Tablet", "tablet"),
    ("Kindle", "tablet"),
    ("Silk/", "tablet"),
    ("iPhone", "phone"),
    ("iPod", "phone"),
    ("Windows Phone", "phone"),
    ("Opera Mini", "phone"),
    ("Mobile", "phone"),
    ("Android", "tablet"),
    ("Windows NT", "desktop"),
    ("Macintosh", "desktop"),
    ("X11", "desktop"),
    ("CrOS", "desktop"),
];

fn device(agent: &str) -> Option<&'static str> {
    if BOTS.is_bot(agent) { Some("bot") } else { first_of(DEVICES, agent) }
}

fn first_of(names: &[(&str, &'static str)], agent: &str) -> Option<&'static str> {
    names.iter().find(|(sign, _)| agent.contains(sign)).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_told_apart() {
        for (agent, expected) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
                Some("desktop"),
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1",
                Some("phone"),
            ),
            ("Mozilla/5.0 (iPad; CPU OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1", Some("tablet")),
            (
                "Mozilla/5.0 (Linux; Android 16; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
                Some("phone"),
            ),
            (
                "Mozilla/5.0 (Linux; Android 15; SM-X910) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
                Some("tablet"),
            ),
            (
                "Mozilla/5.0 (SMART-TV; Linux; Tizen 8.0) AppleWebKit/538.1 (KHTML, like Gecko) Version/8.0 TV Safari/538.1",
                Some("tv"),
            ),
            ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", Some("bot")),
            ("x", None),
        ] {
            assert_eq!(device(agent), expected, "{agent}");
        }
    }

    #[test]
    fn bots_and_browsers_are_told_apart() {
        for (agent, bot, browser, system) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
                false,
                Some("Edge"),
                Some("Windows"),
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1",
                false,
                Some("Safari"),
                Some("iOS"),
            ),
            (
                "Mozilla/5.0 (Linux; Android 16; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
                false,
                Some("Chrome"),
                Some("Android"),
            ),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", false, Some("Firefox"), Some("Linux")),
            ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", true, None, None),
            (
                "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
                true,
                None,
                None,
            ),
            ("curl/8.14.1", true, None, None),
            ("python-requests/2.32.4", true, None, None),
        ] {
            assert_eq!(
                (BOTS.is_bot(agent), first_of(BROWSERS, agent), first_of(SYSTEMS, agent)),
                (bot, browser, system),
                "{agent}"
            );
        }
    }
}
