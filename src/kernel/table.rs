//! The taxonomy: which tables there are, and which columns each one has.
//!
//! One table holds one kind of event, and many formats feed it. The same thing has the same name in every table. A table
//! is plain data; a definition may only fill columns that are listed here, and what a format captures beyond them goes
//! to the `fields` map.

use std::sync::{Arc, LazyLock};

use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// Text, as logged.
    Text,
    /// A small unsigned number: a status, a port.
    UInt16,
    /// An unsigned number: bytes, ids.
    UInt64,
    /// A signed small number: minutes of an offset.
    Int16,
    /// A fraction: milliseconds.
    Float64,
    /// A point in time, in microseconds since the epoch, UTC.
    Time,
    /// Text to text.
    Map,
}

impl ColumnType {
    /// The Arrow type.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8View,
            Self::UInt16 => DataType::UInt16,
            Self::UInt64 => DataType::UInt64,
            Self::Int16 => DataType::Int16,
            Self::Float64 => DataType::Float64,
            Self::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Map => DataType::Map(Arc::new(Field::new("entries", DataType::Struct(map_fields()), false)), false),
        }
    }
}

/// The key and value fields of a map column.
pub(crate) fn map_fields() -> Fields {
    Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)])
}

/// One column of a table.
#[derive(Clone, Copy, Debug)]
pub struct ColumnDef {
    /// Its name in SQL.
    pub name: &'static str,
    /// Its type.
    pub kind: ColumnType,
    /// What it holds, with the unit where there is one.
    pub about: &'static str,
}

/// One table.
#[derive(Debug)]
pub struct TableDef {
    /// Its name in SQL.
    pub name: &'static str,
    /// What one row is.
    pub about: &'static str,
    /// Its columns; the last ones are the meta columns.
    pub columns: Vec<ColumnDef>,
    /// How many columns are not meta columns.
    pub plain: usize,
    schema: SchemaRef,
}

impl TableDef {
    fn new(name: &'static str, about: &'static str, columns: &[ColumnDef], meta: &[ColumnDef]) -> Self {
        let plain = columns.len();
        let columns: Vec<ColumnDef> = columns.iter().chain(meta).copied().collect();
        let fields: Vec<Field> = columns.iter().map(|c| Field::new(c.name, c.kind.data_type(), true)).collect();
        Self { name, about, columns, plain, schema: Arc::new(Schema::new(fields)) }
    }

    /// The Arrow schema: all columns, the meta columns last.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The index of a column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The column that another tool calls `name`, where this table has it.
    pub fn alias(&self, name: &str) -> Option<&'static str> {
        let name = name.to_ascii_lowercase();
        ALIASES.iter().filter(|(alias, _)| *alias == name).map(|(_, column)| *column).find(|column| self.column(column).is_some())
    }
}

/// The table of lines that no format takes.
pub const UNPARSED: &str = "unparsed";

/// Columns that say where a record comes from. They are not part of `SELECT *`.
pub const META: [ColumnDef; 5] = [
    column("_file", ColumnType::Text, "path of the file"),
    column("_line", ColumnType::UInt64, "number of the record's first line in the file, from 1"),
    column("_offset", ColumnType::UInt64, "offset of the record's first byte in the file, after decompression"),
    column("_format", ColumnType::Text, "pattern that took the record"),
    column("_raw", ColumnType::Text, "the record as it stands in the file"),
];

/// The meta column that a table has beyond [`META`] where a part of its rows is in a store.
pub const SOURCE: &str = "_source";

/// The table of this name as it is where a part of its rows may be in a store: with [`SOURCE`], as its last column.
pub fn table_with_source(name: &str) -> Option<&'static TableDef> {
    TABLES_WITH_SOURCE.iter().find(|table| table.name == name)
}

static TABLES_WITH_SOURCE: LazyLock<Vec<TableDef>> = LazyLock::new(|| {
    let source = column(SOURCE, ColumnType::Text, "`store` for what was collected, `live` for what is read from the log");
    let with_source = |table: &TableDef| {
        let meta: Vec<ColumnDef> = table.columns[table.plain..].iter().copied().chain([source]).collect();
        TableDef::new(table.name, table.about, &table.columns[..table.plain], &meta)
    };
    TABLES.iter().map(with_source).collect()
});

const fn column(name: &'static str, kind: ColumnType, about: &'static str) -> ColumnDef {
    ColumnDef { name, kind, about }
}

/// All tables, in the order in which they are listed.
pub fn tables() -> &'static [TableDef] {
    &TABLES
}

/// The table of this name.
pub fn table(name: &str) -> Option<&'static TableDef> {
    TABLES.iter().find(|table| table.name == name)
}

static TABLES: LazyLock<Vec<TableDef>> = LazyLock::new(|| {
    use ColumnType::{Float64, Int16, Map, Text, Time, UInt16, UInt64};
    let time = column("time", Time, "when it happened, UTC");
    let time_offset = column("time_offset", Int16, "offset from UTC that was logged, in minutes");
    let client_ip = column("client_ip", Text, "address of the client");
    let client_port = column("client_port", UInt16, "port of the client");
    let client_host = column("client_host", Text, "name of the client, where names are logged");
    let host = column("host", Text, "machine that logged");
    let program = column("program", Text, "program that logged");
    let pid = column("pid", UInt64, "its process");
    let level = column("level", Text, "severity, as logged");
    let message = column("message", Text, "text of the message");
    let user_name = column("user_name", Text, "authenticated user");
    let server_ip = column("server_ip", Text, "address of the server");
    let bytes = column("bytes", UInt64, "bytes sent to the client");
    let duration_ms = column("duration_ms", Float64, "time it took, in milliseconds");
    let request = column("request", Text, "first line of the request");
    let method = column("method", Text, "method of the request");
    let url = column("url", Text, "target of the request");
    let protocol = column("protocol", Text, "protocol and version");
    let status = column("status", UInt16, "status of the response");
    let referer = column("referer", Text, "page that the client came from");
    let user_agent = column("user_agent", Text, "program of the client");
    let request_id = column("request_id", Text, "id of the request");
    let tid = column("tid", UInt64, "its thread");
    let connection = column("connection", UInt64, "number of the connection");
    let code = column("code", Text, "number of the message, such as AH01630");
    let server = column("server", Text, "server that served it");
    let stack = column("stack", Text, "stack trace");
    let msg_id = column("msg_id", Text, "type of the message");
    let rule = column("rule", Text, "rule or prefix that matched");
    let fields = column("fields", Map, "what the format has beyond these columns");
    vec![
        TableDef::new(
            "access_log",
            "requests to web servers and proxies in front of them",
            &[
                time,
                client_ip,
                client_host,
                client_port,
                column("ident", Text, "identity of the client by RFC 1413"),
                user_name,
                request,
                method,
                url,
                column("path", Text, "the target up to its `?`"),
                column("query", Text, "the target behind its `?`"),
                protocol,
                status,
                bytes,
                referer,
                user_agent,
                column("vhost", Text, "virtual host that was asked"),
                server_ip,
                column("server_port", UInt16, "port of the server"),
                column("duration_ms", Float64, "time the request took, in milliseconds"),
                column("request_bytes", UInt64, "bytes received from the client"),
                column("upstream_ip", Text, "address of the upstream that answered last"),
                column("upstream_port", UInt16, "its port"),
                column("upstream_status", UInt16, "its status"),
                column("upstream_ms", Float64, "time it took, in milliseconds"),
                column("forwarded_for", Text, "X-Forwarded-For of the request"),
                request_id,
                column("tls_version", Text, "version of TLS"),
                column("cache_status", Text, "what the cache did"),
                host,
                program,
                pid,
                time_offset,
                fields,
            ],
            &META,
        ),
        TableDef::new(
            "error_log",
            "errors of web servers and applications",
            &[
                time,
                level,
                column("module", Text, "module that logged"),
                pid,
                tid,
                connection,
                client_ip,
                client_port,
                client_host,
                code,
                column("os_error", Text, "error of the operating system, with its number"),
                message,
                server,
                request,
                column("upstream", Text, "upstream that was asked"),
                column("vhost", Text, "host that the client asked for"),
                referer,
                stack,
                host,
                program,
                time_offset,
                fields,
            ],
            &META,
        ),
        TableDef::new(
            "dns_log",
            "DNS queries and answers",
            &[
                time,
                column("action", Text, "query, reply, cached, forwarded, blocked, denied, error, transfer"),
                client_ip,
                client_port,
                client_host,
                column("query_name", Text, "name that was asked for"),
                column("query_type", Text, "type that was asked for"),
                column("query_class", Text, "class that was asked for"),
                column("rcode", Text, "code of the answer"),
                column("answer", Text, "the answer"),
                column("flags", Text, "flags of the query, as logged"),
                column("transport", Text, "udp, tcp, tls"),
                column("server_ip", Text, "address that was asked or that answered"),
                column("view", Text, "view of the server"),
                column("zone", Text, "zone"),
                column("bytes", UInt64, "size of the answer"),
                duration_ms,
                level,
                message,
                host,
                program,
                pid,
                time_offset,
                fields,
            ],
            &META,
        ),
        TableDef::new(
            "syslog",
            "syslog messages, whatever is inside",
            &[
                time,
                host,
                program,
                pid,
                message,
                column("priority", UInt16, "facility × 8 + severity"),
                column("facility", Text, "part of the system, by its keyword"),
                column("severity", Text, "severity, by its keyword"),
                msg_id,
                column("structured_data", Map, "structured data, as `id.name`"),
                time_offset,
                fields,
            ],
            &META,
        ),
        TableDef::new(
            "auth_log",
            "logins, failures, privileges and bans",
            &[
                time,
                column(
                    "action",
                    Text,
                    "login, failure, logout, invalid_user, disconnect, sudo, su, session_open, session_close, ban, unban, change",
                ),
                user_name,
                column("target_user", Text, "user that was become or changed"),
                client_ip,
                client_port,
                client_host,
                column("method", Text, "method of authentication: password, publickey …"),
                column("status", Text, "result, as logged"),
                column("command", Text, "command that was run"),
                column("tty", Text, "terminal"),
                level,
                message,
                host,
                program,
                pid,
                time_offset,
                fields,
            ],
            &META,
        ),
        TableDef::new(
            "mail_log",
            "mail on its way: received, queued, delivered, refused; mailboxes opened",
            &[
                time,
                column(
                    "action",
                    Text,
                    "connect, receive, queue, deliver, defer, bounce, reject, remove, login, failure, logout, disconnect",
                ),
                column("queue_id", Text, "id of the message in the queue"),
                column("message_id", Text, "Message-ID of the message"),
                column("sender", Text, "sender by the envelope"),
                column("recipient", Text, "recipient by the envelope"),
                column("relay", Text, "server that it came from or went to"),
                client_ip,
                client_port,
                client_host,
                server_ip,
                user_name,
                column("status", Text, "sent, deferred, bounced …, as logged"),
                column("dsn", Text, "status by RFC 3463"),
                bytes,
                column("delay_ms", Float64, "time since it was received, in milliseconds"),
                column("subject", Text, "subject of the message"),
                column("score", Float64, "score of a filter"),
                level,
                message,
                host,
                program,
                pid,
                time_offset,
                fields,
            ],
            &META,
        ),
        TableDef::new(
            "dhcp_log",
            "leases asked for and given",
            &[
                time,
                column("action", Text, "discover, offer, request, ack, nak, release, decline, inform, expire"),
                column("client_mac", Text, "hardware address of the client"),
                client_ip,
                client_host,
                server_ip,
                column("interface", Text, "interface or relay"),
                column("transaction_id", Text, "id of the transaction"),
                column("lease_s", UInt64, "duration of the lease, in seconds"),
                level,
                message,
                host,
                program,
                pid,
                time_offset,
                fields,
            ],
            &META,
        ),
        TableDef::new(
            "firewall_log",
            "packets and connections that firewalls and flow logs tell of",
            &[
                time,
                column("action", Text, "allow, block, drop, reject, build, teardown, as far as it is told"),
                column("source_ip", Text, "address of the source"),
                column("source_port", UInt16, "port of the source"),
                column("dest_ip", Text, "address of the destination"),
                column("dest_port", UInt16, "port of the destination"),
                protocol,
                bytes,
                column("packets", UInt64, "number of packets"),
                rule,
                column("inbound_if", Text, "interface that it came in by"),
                column("outbound_if", Text, "interface that it goes out by"),
                column("source_mac", Text, "hardware address of the source"),
                column("dest_mac", Text, "hardware address of the destination"),
                column("tcp_flags", Text, "flags of TCP"),
                column("length", UInt64, "length of the packet, in bytes"),
                column("ttl", UInt16, "time to live"),
                duration_ms,
                user_name,
                level,
                msg_id,
                message,
                host,
                program,
                pid,
                time_offset,
                fields,
            ],
            &META,
        ),
        TableDef::new(
            "proxy_log",
            "requests through forward proxies and their filters",
            &[
                time,
                client_ip,
                client_port,
                client_host,
                user_name,
                method,
                url,
                status,
                bytes,
                duration_ms,
                column("cache_result", Text, "what the cache did: TCP_MISS …"),
                column("hierarchy", Text, "how the object was got: HIER_DIRECT …"),
                server_ip,
                server,
                column("mime_type", Text, "type of the content"),
                column("category", Text, "category that a filter found"),
                column("action", Text, "allow, block, redirect"),
                rule,
                referer,
                user_agent,
                level,
                message,
                host,
                program,
                pid,
                time_offset,
                fields,
            ],
            &META,
        ),
        TableDef::new(
            "database_log",
            "errors, connections and statements of databases",
            &[
                time,
                level,
                pid,
                tid,
                connection,
                column("session_id", Text, "id of the session"),
                user_name,
                column("database", Text, "database"),
                client_ip,
                client_port,
                client_host,
                column("application", Text, "program of the client"),
                column("action", Text, "connect, disconnect, query, checkpoint …, where it is told"),
                duration_ms,
                column("lock_ms", Float64, "time spent waiting for locks, in milliseconds"),
                column("rows_sent", UInt64, "rows sent to the client"),
                column("rows_examined", UInt64, "rows read"),
                column("statement", Text, "statement"),
                code,
                column("component", Text, "part of the program"),
                message,
                host,
                program,
                time_offset,
                fields,
            ],
            &META,
        ),
        TableDef::new(
            "transfer_log",
            "files sent and received",
            &[
                time,
                column("action", Text, "upload, download, delete, login, failure, list …"),
                client_ip,
                client_port,
                client_host,
                user_name,
                column("path", Text, "path of the file"),
                bytes,
                duration_ms,
                status,
                method,
                protocol,
                level,
                message,
                host,
                program,
                pid,
                time_offset,
                fields,
            ],
            &META,
        ),
        TableDef::new(
            "app_log",
            "what applications log",
            &[
                time,
                level,
                column("logger", Text, "part of the program that logged"),
                column("thread", Text, "thread that logged"),
                message,
                stack,
                column("source_file", Text, "file and line of the program"),
                host,
                program,
                pid,
                tid,
                user_name,
                client_ip,
                request_id,
                column("trace_id", Text, "id of the trace"),
                column("container", Text, "container that logged"),
                column("stream", Text, "stdout or stderr"),
                duration_ms,
                time_offset,
                fields,
            ],
            &META,
        ),
        TableDef::new(
            UNPARSED,
            "lines that no format takes",
            &[
                column("_file", Text, "path of the file"),
                column("_line", UInt64, "number of the line in the file, from 1"),
                column("_offset", UInt64, "offset of its first byte, after decompression"),
                column("reason", Text, "why it was not taken"),
                column("nearest_format", Text, "pattern that came nearest"),
                column("failed_column", UInt64, "byte of the line, from 1, where that pattern failed"),
                column("failed_field", Text, "field that was being read there"),
                column("raw", Text, "the line"),
            ],
            &[],
        ),
    ]
});

/// What other tools call the columns: the answer to `no such column`.
const ALIASES: &[(&str, &str)] = &[
    ("ip", "client_ip"),
    ("clientip", "client_ip"),
    ("client", "client_ip"),
    ("remote_addr", "client_ip"),
    ("remote_host", "client_ip"),
    ("remotehost", "client_ip"),
    ("c_ip", "client_ip"),
    ("src_ip", "client_ip"),
    ("source_ip", "client_ip"),
    ("addr", "client_ip"),
    ("remote_port", "client_port"),
    ("user", "user_name"),
    ("remote_user", "user_name"),
    ("auth", "user_name"),
    ("cs_username", "user_name"),
    ("username", "user_name"),
    ("verb", "method"),
    ("cs_method", "method"),
    ("request_method", "method"),
    ("uri", "url"),
    ("request_uri", "url"),
    ("cs_uri_stem", "path"),
    ("cs_uri_query", "query"),
    ("args", "query"),
    ("query_string", "query"),
    ("http_version", "protocol"),
    ("httpversion", "protocol"),
    ("sc_status", "status"),
    ("response", "status"),
    ("code", "status"),
    ("status_code", "status"),
    ("http_status", "status"),
    ("size", "bytes"),
    ("sc_bytes", "bytes"),
    ("body_bytes_sent", "bytes"),
    ("bytes_sent", "bytes"),
    ("response_size", "bytes"),
    ("referrer", "referer"),
    ("http_referer", "referer"),
    ("cs_referer", "referer"),
    ("agent", "user_agent"),
    ("useragent", "user_agent"),
    ("http_user_agent", "user_agent"),
    ("cs_user_agent", "user_agent"),
    ("domain", "vhost"),
    ("server_name", "vhost"),
    ("host_name", "host"),
    ("hostname", "host"),
    ("http_host", "vhost"),
    ("request_time", "duration_ms"),
    ("duration", "duration_ms"),
    ("time_taken", "duration_ms"),
    ("latency", "duration_ms"),
    ("request_length", "request_bytes"),
    ("upstream_addr", "upstream_ip"),
    ("upstream_response_time", "upstream_ms"),
    ("http_x_forwarded_for", "forwarded_for"),
    ("x_forwarded_for", "forwarded_for"),
    ("timestamp", "time"),
    ("ts", "time"),
    ("date", "time"),
    ("datetime", "time"),
    ("log_time", "time"),
    ("time_local", "time"),
    ("@timestamp", "time"),
    ("severity", "level"),
    ("loglevel", "level"),
    ("level", "severity"),
    ("msg", "message"),
    ("log_body", "message"),
    ("body", "message"),
    ("text", "message"),
    ("appname", "program"),
    ("app_name", "program"),
    ("ident", "program"),
    ("tag", "program"),
    ("process", "program"),
    ("log_procname", "program"),
    ("procid", "pid"),
    ("proc_id", "pid"),
    ("log_pid", "pid"),
    ("msgid", "msg_id"),
    ("pri", "priority"),
    ("qname", "query_name"),
    ("name", "query_name"),
    ("query", "query_name"),
    ("qtype", "query_type"),
    ("type", "query_type"),
    ("qclass", "query_class"),
    ("class", "query_class"),
    ("thread", "tid"),
    ("errorcode", "code"),
    ("_path", "_file"),
    ("filename", "_file"),
    ("file", "_file"),
    ("line", "_line"),
    ("line_number", "_line"),
    ("raw", "_raw"),
    ("log_text", "_raw"),
    ("format", "_format"),
    ("log_format", "_format"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_has_one_type_in_all_tables() {
        let mut seen: Vec<ColumnDef> = vec![];
        for table in tables() {
            for column in &table.columns {
                // Requests have a number for it, other events a word.
                if column.name == "status" {
                    continue;
                }
                match seen.iter().find(|other| other.name == column.name) {
                    Some(other) => assert_eq!(other.kind, column.kind, "{}.{}", table.name, column.name),
                    None => seen.push(*column),
                }
            }
        }
    }

    #[test]
    fn every_alias_leads_to_a_column() {
        for (alias, name) in ALIASES {
            assert!(tables().iter().any(|table| table.column(name).is_some()), "{alias} → {name}");
        }
    }
}
