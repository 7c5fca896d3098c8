//! Parts of URLs, as requests and referers have them: `/a/b?c=d`, `https://example.com/a`. Nothing is refused: a part that is
//! not there is NULL, and bytes that are no UTF-8 after decoding are replaced.

use std::borrow::Cow;

use arrow::datatypes::DataType;
use percent_encoding::percent_decode_str;

use super::{Arg, Function, Kind, arg, texts};

const URL: &[Arg] = &[arg("url", Kind::Text)];

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "url_host",
        args: URL,
        about: "host of a URL, in lower case, without its port",
        example: "url_host('https://Example.com:8080/a') → example.com",
        returns: || DataType::Utf8View,
        run: |args| texts(args.text(0).iter().map(|url| host(url?))),
    },
    Function {
        name: "url_path",
        args: URL,
        about: "path of a URL",
        example: "url_path('/a/b?c=d') → /a/b",
        returns: || DataType::Utf8View,
        run: |args| texts(args.text(0).iter().map(|url| url.map(|url| split(url).path))),
    },
    Function {
        name: "url_query",
        args: URL,
        about: "query of a URL: what is behind its `?`",
        example: "url_query('/a/b?c=d#e') → c=d",
        returns: || DataType::Utf8View,
        run: |args| texts(args.text(0).iter().map(|url| split(url?).query)),
    },
    Function {
        name: "url_param",
        args: &[arg("url", Kind::Text), arg("name", Kind::Text)],
        about: "first parameter of this name in a URL's query, decoded",
        example: "url_param('/search?q=two%20words', 'q') → two words",
        returns: || DataType::Utf8View,
        run: |args| texts(args.text(0).iter().zip(args.text(1)).map(|(url, name)| param(url?, name?))),
    },
    Function {
        name: "url_decode",
        args: &[arg("text", Kind::Text)],
        about: "the text with its %XX decoded",
        example: "url_decode('/a%20b') → /a b",
        returns: || DataType::Utf8View,
        run: |args| texts(args.text(0).iter().map(|text| Some(percent_decode_str(text?).decode_utf8_lossy()))),
    },
    Function {
        name: "section",
        args: URL,
        about: "first part of a URL's path",
        example: "section('/pages/create?x=1') → /pages",
        returns: || DataType::Utf8View,
        run: |args| texts(args.text(0).iter().map(|url| url.map(section))),
    },
    Function {
        name: "search_terms",
        args: &[arg("referer", Kind::Text)],
        about: "what was searched for, where a referer is the page of a search engine",
        example: "search_terms('https://duckduckgo.com/?q=log+files') → log files",
        returns: || DataType::Utf8View,
        run: |args| texts(args.text(0).iter().map(|url| search_terms(url?))),
    },
];

/// Search engines, by a part of their hosts, and the parameter that has the words.
const ENGINES: &[(&str, &str)] = &[
    ("google.", "q"),
    ("bing.com", "q"),
    ("duckduckgo.com", "q"),
    ("search.yahoo.", "p"),
    ("yandex.", "text"),
    ("baidu.com", "wd"),
    ("ecosia.org", "q"),
    ("search.brave.com", "q"),
    ("qwant.com", "q"),
    ("startpage.com", "query"),
    ("naver.com", "query"),
    ("seznam.cz", "q"),
    ("sogou.com", "query"),
    ("ask.com", "q"),
    ("aol.com", "q"),
];

fn search_terms(referer: &str) -> Option<Cow<'_, str>> {
    let host = host(referer)?;
    // A part begins where a label does; one without a dot at its end is the end of the host.
    let is_of = |part: &str| {
        let begins = |at: usize| at == 0 || host.as_bytes()[at - 1] == b'.';
        host.match_indices(part).any(|(at, _)| begins(at) && (part.ends_with('.') || at + part.len() == host.len()))
    };
    let (_, name) = ENGINES.iter().find(|(part, _)| is_of(part))?;
    param(referer, name).filter(|terms| !terms.is_empty())
}

struct Parts<'a> {
    authority: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
}

fn split(url: &str) -> Parts<'_> {
    let url = url.split_once('#').map_or(url, |(url, _)| url);
    let (before, query) = url.split_once('?').map_or((url, None), |(before, query)| (before, Some(query)));
    // `/redirect/http://x` is a path.
    let scheme = before.split_once("://").filter(|(scheme, _)| !scheme.is_empty() && !scheme.contains('/'));
    let Some((_, rest)) = scheme else { return Parts { authority: None, path: before, query } };
    let at = rest.find('/').unwrap_or(rest.len());
    let path = if at == rest.len() { "/" } else { &rest[at..] };
    Parts { authority: Some(&rest[..at]), path, query }
}

fn host(url: &str) -> Option<String> {
    let authority = split(url).authority?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split_once(':').map_or(host, |(host, _)| host),
    };
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

fn param<'a>(url: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let query = split(url).query?;
    form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value)
}

fn section(url: &str) -> &str {
    let path = split(url).path;
    let end = path.char_indices().skip(1).find(|(_, c)| *c == '/').map_or(path.len(), |(at, _)| at);
    &path[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts_are_found_in_requests_and_referers() {
        for (url, host_, path, query, section_) in [
            ("/a/b?c=d", None, "/a/b", Some("c=d"), "/a"),
            ("https://u:p@Example.com:8080/x#y?z", Some("example.com"), "/x", None, "/x"),
            ("http://[2001:db8::1]:80", Some("2001:db8::1"), "/", None, "/"),
            ("/go/http://other.example/?", None, "/go/http://other.example/", Some(""), "/go"),
            ("*", None, "*", None, "*"),
            ("", None, "", None, ""),
            ("//double/slash", None, "//double/slash", None, "/"),
        ] {
            let parts = split(url);
            assert_eq!((host(url).as_deref(), parts.path, parts.query, section(url)), (host_, path, query, section_), "{url}");
        }
        assert_eq!(param("/?a=1&q=x+y%C3%A9&q=2", "q").as_deref(), Some("x yé"));
        assert_eq!(param("/?a", "b"), None);
    }

    #[test]
    fn words_are_those_of_search_engines_only() {
        for (referer, expected) in [
            ("https://www.google.co.uk/search?client=x&q=two%20words", Some("two words")),
            ("https://google.com/url?q=&sa=t", None),
            ("https://www.google.com/", None),
            ("https://search.yahoo.com/search;_ylt=x?p=a+b", Some("a b")),
            ("https://yandex.ru/search/?text=%D0%B0", Some("а")),
            ("https://notgoogle.com/?q=x", None),
            ("https://www.bing.com.example.org/?q=x", None),
            ("/search?q=x", None),
        ] {
            assert_eq!(search_terms(referer).as_deref(), expected, "{referer}");
        }
    }

    proptest! {
        #[test]
        fn no_url_is_too_odd(url in any::<String>(), odd in "([a-z/:?#@%&=\\[\\]é]|://|%[0-9a-f]){0,20}") {
            for url in [url, odd] {
                let parts = split(&url);
                prop_assert!(parts.path.len() <= url.len().max(1));
                let _ = (host(&url), param(&url, "a"), section(&url), search_terms(&url));
            }
        }
    }
}
