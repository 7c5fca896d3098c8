//! What the user typed, and nothing else. Defaults that depend on anything are decided in [`super::config`].

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

const EXAMPLES: &str = "\
Examples:
  logsql tables                                                what there is on this machine
  logsql \"SELECT status, count(*) FROM access_log GROUP BY 1\"   over the logs of this machine
  logsql \"SELECT client_ip, count(*) FROM access_log WHERE status = 404 GROUP BY 1 ORDER BY 2 DESC LIMIT 10\" access.log*
  logsql \"SELECT * FROM 'backup/*.gz' WHERE status >= 500\"      a path is a table
  zcat old.gz | logsql \"SELECT count(*) FROM syslog\" -
  logsql -F \"SELECT time, url FROM access_log WHERE status >= 500\"     new rows as they are logged
  logsql --csv -o errors.csv \"SELECT time, level, message FROM error_log\" /var/log/nginx/error.log
  logsql /var/log/nginx                                        no SQL: explore in the REPL (with -r for what is below)

Each option can be set for good: --memory-limit is `memory-limit = \"4G\"` in ~/.config/logsql/config.toml, or the variable
LOGSQL_MEMORY_LIMIT; a switch that is on there is turned off with --strict=false. `logsql config show` tells what is set, and where.

Lines that no format takes are rows of the table `unparsed`; what was read and what was not is in `scan_report`.
Exit codes: 0 done, 1 query or run-time error, 2 usage, 3 done but some input could not be read or parsed and --strict or
--max-errors says that matters, 10 --fail-if-rows or --fail-if-empty, 130 interrupted.";

/// Every log on this machine is a SQL table.
#[derive(Debug, Parser)]
#[command(name = "logsql", version, about, after_help = EXAMPLES, disable_help_subcommand = true)]
pub(super) struct Options {
    /// SQL (it has a blank in it), then paths, globs, directories, `-` for standard input, or FORMAT=GLOB
    #[arg(value_name = "SQL] [PATH")]
    pub(super) words: Vec<OsString>,

    /// Read this configuration instead of config.toml in /etc/logsql and in the config folder
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) config: Option<PathBuf>,

    /// Read no configuration
    #[arg(long, global = true)]
    pub(super) no_config: bool,

    /// Same as the command `completions`
    #[arg(long, value_name = "SHELL", value_enum, hide = true, exclusive = true)]
    pub(super) completions: Option<Shell>,

    /// Same as the command `man`
    #[arg(long, hide = true, exclusive = true)]
    pub(super) man_page: bool,

    #[command(flatten)]
    pub(super) run: RunOptions,

    #[command(flatten)]
    pub(super) input: InputOptions,

    #[command(flatten)]
    pub(super) output: OutputArgs,

    #[command(flatten)]
    pub(super) limits: LimitOptions,

    #[command(subcommand)]
    pub(super) command: Option<Subcommands>,
}

/// What runs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Query")]
pub(super) struct RunOptions {
    /// Run this SQL; may be repeated
    #[arg(short = 'c', long = "command", value_name = "SQL")]
    pub(super) sql: Vec<String>,

    /// Run the SQL in this file (`-` for standard input); may be repeated
    #[arg(short, long, value_name = "FILE")]
    pub(super) file: Vec<PathBuf>,

    /// Only records at or after this time: RFC 3339, `2026-11-21`, `2h`, `-1d`, `yesterday`
    #[arg(long, alias = "from", value_name = "TIME", allow_hyphen_values = true, global = true)]
    pub(super) since: Option<String>,

    /// Only records before this time
    #[arg(long, alias = "to", value_name = "TIME", allow_hyphen_values = true, global = true)]
    pub(super) until: Option<String>,

    /// Go on with new rows as they are logged, until Ctrl-C
    #[arg(short = 'F', long)]
    pub(super) follow: bool,

    /// So many of the newest rows come first [default: 10]; means --follow
    #[arg(long, value_name = "ROWS")]
    pub(super) tail: Option<usize>,

    /// SQL to run first in the REPL [default: rc.sql in the config folder]
    #[arg(long, value_name = "FILE")]
    pub(super) rc: Option<PathBuf>,

    /// Run no startup file
    #[arg(long)]
    pub(super) no_rc: bool,

    /// Go on after a failed statement, or stop [default: stop, except in the REPL]
    #[arg(long, value_name = "WHEN")]
    pub(super) bail: Option<bool>,

    /// Exit with code 10 if the last result has rows
    #[arg(long, conflicts_with = "fail_if_empty")]
    pub(super) fail_if_rows: bool,

    /// Exit with code 10 if the last result is empty
    #[arg(long)]
    pub(super) fail_if_empty: bool,
}

/// What is read.
#[derive(Debug, Args)]
#[command(next_help_heading = "Input")]
pub(super) struct InputOptions {
    /// Read directories with all that is below them
    #[arg(short, long, global = true)]
    pub(super) recursive: bool,

    /// Do not follow symbolic links
    #[arg(long, global = true)]
    pub(super) no_follow: bool,

    /// The format of all inputs, instead of finding it out
    #[arg(short, long, value_name = "NAME", global = true)]
    pub(super) input_format: Option<String>,

    /// A folder that `convert` or `collect` wrote: what is in it and the logs that are not yet are one table. Set once for all,
    /// it counts where no paths are named
    #[arg(long, value_name = "DIR", global = true)]
    pub(super) store: Option<PathBuf>,

    /// Make a table of files, NAME=GLOB or NAME:FORMAT=GLOB; may be repeated
    #[arg(long, value_name = "NAME[:FORMAT]=GLOB", global = true)]
    pub(super) table: Vec<String>,

    /// Read format definitions (*.toml) from this folder too; may be repeated
    #[arg(long, value_name = "DIR", global = true)]
    pub(super) formats: Vec<PathBuf>,

    /// Zone of times without one [default: this machine's]
    #[arg(long, value_name = "ZONE", global = true)]
    pub(super) assume_tz: Option<String>,

    /// Trust that no line is further than this from its place in the order of time (30m), and skip the parts of a file that
    /// the stamps at their ends exclude. Without it, a part is skipped only if a query has read all its times before
    #[arg(long, value_name = "SLACK", num_args = 0..=1, default_missing_value = "30m", require_equals = true)]
    pub(super) assume_ordered: Option<String>,

    /// How files are read
    #[arg(long, value_name = "MODE", value_enum, global = true)]
    pub(super) mmap: Option<MmapArg>,

    /// Fail if any input cannot be read, changes while it is read, or has an unparsed line
    #[arg(long, global = true)]
    pub(super) strict: bool,

    /// Exit with code 3 if there are more unparsed lines than this
    #[arg(long, value_name = "N", global = true)]
    pub(super) max_errors: Option<u64>,

    /// Neither use nor keep what scans find out about large files (see `logsql index --help`)
    #[arg(long, global = true)]
    pub(super) no_index: bool,

    /// Do not read nginx.conf and httpd.conf of this machine for its logs and their layouts
    #[arg(long, global = true)]
    pub(super) no_server_config: bool,

    /// Decompress without a limit on the ratio
    #[arg(long, global = true)]
    pub(super) no_decompress_limit: bool,
}

/// What is written.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputArgs {
    /// table, csv, tsv, json, ndjson, markdown, html, line, parquet or arrow [default: by the name of -o, else table on
    /// a terminal and tsv in a pipe]
    #[arg(long, value_name = "FORMAT", global = true)]
    pub(super) format: Option<String>,

    /// Same as --format csv
    #[arg(long, group = "shortcut", global = true)]
    pub(super) csv: bool,

    /// Same as --format tsv
    #[arg(long, group = "shortcut", global = true)]
    pub(super) tsv: bool,

    /// Same as --format json
    #[arg(long, group = "shortcut", global = true)]
    pub(super) json: bool,

    /// Same as --format ndjson
    #[arg(long, group = "shortcut", global = true)]
    pub(super) ndjson: bool,

    /// Same as --format markdown
    #[arg(long, group = "shortcut", global = true)]
    pub(super) markdown: bool,

    /// Same as --format line
    #[arg(long, group = "shortcut", global = true)]
    pub(super) line: bool,

    /// Write the result to this file; it appears when it is complete
    #[arg(short, long, value_name = "FILE", global = true)]
    pub(super) output: Option<PathBuf>,

    /// Write no column names
    #[arg(long, global = true)]
    pub(super) no_header: bool,

    /// The text for NULL
    #[arg(long, value_name = "TEXT", global = true)]
    pub(super) null: Option<String>,

    /// Rows that a table on a terminal shows, or `inf`
    #[arg(long, value_name = "N", global = true)]
    pub(super) max_rows: Option<String>,

    /// One value per line: on, off or auto
    #[arg(short = 'x', long, value_name = "WHEN", value_enum, num_args = 0..=1, default_missing_value = "on", require_equals = true, global = true)]
    pub(super) expanded: Option<ExpandedArg>,

    /// Draw the result: bar, line, spark or heatmap (hours of the week), as in 'bar x=status y=hits' [default columns: the
    /// first, and the first with numbers]
    #[arg(long, value_name = "CHART", global = true)]
    pub(super) chart: Option<String>,

    /// Put a ' before text that a spreadsheet would run as a formula
    #[arg(long, global = true)]
    pub(super) csv_safe: bool,

    /// Zone in which times are shown
    #[arg(long, value_name = "ZONE", global = true)]
    pub(super) tz: Option<String>,

    /// Colours: auto, always or never
    #[arg(long, value_name = "WHEN", value_enum, global = true)]
    pub(super) color: Option<When>,

    /// Read results that are higher than the terminal in a pager (LOGSQL_PAGER, PAGER, less): auto, always or never
    #[arg(long, value_name = "WHEN", value_enum, global = true)]
    pub(super) paging: Option<When>,

    /// Same as --paging never
    #[arg(short = 'P', long, global = true, conflicts_with = "paging")]
    pub(super) no_pager: bool,

    /// Put pseudonyms in place of addresses and of names of users and hosts. They are the same in every run: their key is kept
    /// in the state folder. In free text, what looks like an address is found, and names that the same record has in other columns
    #[arg(long, global = true)]
    pub(super) anonymize: bool,

    /// The key of pseudonyms, so that they are the same on several machines
    #[arg(long, value_name = "TEXT", global = true)]
    pub(super) anonymize_key: Option<String>,

    /// Say nothing but errors
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,

    /// Say more: files, formats, times
    #[arg(short, long, global = true)]
    pub(super) verbose: bool,
}

/// What a run may take.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct LimitOptions {
    /// Memory of queries, such as 512M or 4G [default: 60 % of the machine's or the cgroup's]
    #[arg(short, long, value_name = "SIZE", global = true)]
    pub(super) memory_limit: Option<String>,

    /// Disk for what does not fit into memory [default: half the free space, at most 10G]
    #[arg(short, long, value_name = "SIZE", global = true)]
    pub(super) disk_limit: Option<String>,

    /// Threads [default: one per core]
    #[arg(short = 'j', long, value_name = "N", global = true)]
    pub(super) threads: Option<usize>,
}

/// Commands. SQL is none: it has a blank in it.
#[derive(Debug, Subcommand)]
pub(super) enum Subcommands {
    /// List the tables: which files feed them, in which format, how much, and what could not be read
    #[command(after_help = "Examples:\n  logsql tables\n  logsql tables /backup/logs/*.gz")]
    Tables {
        /// Paths, globs, directories [default: the usual places of this machine]
        paths: Vec<OsString>,
    },
    /// Explore in the REPL
    #[command(after_help = "Examples:\n  logsql repl\n  logsql repl /var/log/nginx/*.log*")]
    Repl {
        /// Paths, globs, directories [default: the usual places of this machine]
        paths: Vec<OsString>,
    },
    /// Formats: list, show, why, new, test
    #[command(subcommand, after_help = FORMAT_EXAMPLES)]
    Format(FormatCommand),
    /// Find out about large files what later queries need not read: how many rows there are where, and of which times
    #[command(after_help = INDEX_EXAMPLES)]
    Index(IndexArgs),
    /// Run saved queries, and make a page of their results
    #[command(after_help = REPORT_EXAMPLES)]
    Report(ReportOptions),
    /// Configuration: show what is set and where, check it, tell its path
    #[command(subcommand, after_help = CONFIG_EXAMPLES)]
    Config(ConfigCommand),
    /// Reports by the clock: add, list, run, remove, next, export
    #[command(subcommand, after_help = SCHEDULE_EXAMPLES)]
    Schedule(ScheduleCommand),
    /// Print what a shell needs to complete commands, options, tables, formats, reports and files
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Print the manual page of the program, or of a command
    #[command(
        after_help = "Examples:\n  logsql man | man -l -\n  logsql man report | man -l -\n  logsql man --dir ~/.local/share/man/man1"
    )]
    Man {
        /// A command
        command: Vec<String>,
        /// Write the pages of all commands into this folder
        #[arg(long, value_name = "DIR", conflicts_with = "command")]
        dir: Option<PathBuf>,
    },
    /// Write logs to a folder (-o) as sorted Parquet files by table and day, to be queried here and by others
    #[command(after_help = CONVERT_EXAMPLES)]
    Convert(ConvertOptions),
    /// Bring what is new in logs into a store: once, or again and again
    #[command(after_help = COLLECT_EXAMPLES)]
    Collect(CollectArgs),
}

const FORMAT_EXAMPLES: &str = "\
Examples:
  logsql format list
  logsql format why /var/log/nginx/access.log
  logsql format show combined
  logsql format new app.log -o app.toml
  logsql format test ./mine.toml";

const CONFIG_EXAMPLES: &str = "\
Examples:
  logsql config show                     every option, its value, and where that comes from
  logsql config check                    what is wrong, with file, line and column
  logsql config path

The file is TOML; its keys are the long names of the options:
  tz = \"Europe/Berlin\"
  memory-limit = \"4G\"
  formats = [\"~/logs/formats\"]

/etc/logsql/config.toml < ~/.config/logsql/config.toml < LOGSQL_<OPTION> < command line.";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  source <(logsql completions bash)                                          in ~/.bashrc
  source <(logsql completions zsh)                                           in ~/.zshrc, behind compinit
  logsql completions fish > ~/.config/fish/completions/logsql.fish

The candidates come from the program, so that your own formats and saved queries are among them.";

/// What about the configuration.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Show every option with its value and where that comes from
    #[command(after_help = "Example:\n  logsql config show")]
    Show,
    /// Say what is wrong with the configuration
    #[command(after_help = "Examples:\n  logsql config check\n  logsql config check ./config.toml")]
    Check {
        /// A file [default: those that are in use]
        file: Option<PathBuf>,
    },
    /// Tell which files are read
    #[command(after_help = "Example:\n  logsql config path")]
    Path,
}

const SCHEDULE_EXAMPLES: &str = "\
Examples:
  logsql schedule add web '0 6 * * *' -o '/srv/reports/web-%Y-%m-%d.html'            the saved queries of the topic `web`
  logsql schedule add brute-force-ssh --mail ops@example.org --when rows             its header says when
  logsql schedule add errors '*/15 * * * *' --pipe 'sendxmpp ops' -- \"SELECT * FROM error_log WHERE level = 'crit'\" /var/log/nginx
  logsql schedule list
  logsql schedule run                                keep running: as a service, or in a terminal
  logsql schedule run web                            what is due of one job, as timers and crontabs do
  logsql schedule export systemd --dir ~/.config/systemd/user

A saved query of your own with `-- schedule: 0 6 * * *` in its header is a job, too. Each job is about what is new since its last
success (--window). A run is never lost and never made twice; a mail or a command is delivered at least once (--in-doubt).
Where the clock skips an hour, `30 2 * * *` runs at its end, and where one comes twice, in the first; `*/30 * * * *` runs whenever its time is shown.
Mails go through the server in [mail] of the configuration: host, port, tls (starttls, tls, none), ca-file, user, password-file, from.";

const ADD_EXAMPLES: &str = "\
Examples:
  logsql schedule add web '0 6 * * mon-fri' --tz Europe/Berlin -o '/srv/reports/{job}-%Y-%m-%d.html' -- report web --param top=5 /var/log/nginx/access.log*
  logsql schedule add nightly @daily --mail ops@example.org --window period -- report sre security
  logsql schedule add brute-force-ssh --when rows --pipe 'mail -s \"$LOGSQL_RUN_TITLE\" ops'

A command finds LOGSQL_RUN_JOB, _ID, _DUE, _SINCE, _UNTIL, _ROWS and _TITLE in its environment. What an option does not say is taken from
[schedule] of the configuration. The job is a file in ~/.config/logsql/schedules that can be edited.";

/// What about the schedule.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum ScheduleCommand {
    /// Add a job: when, what, and where its result goes
    #[command(after_help = ADD_EXAMPLES)]
    Add(Box<AddOptions>),
    /// List the jobs: when they run next, and how they ended last
    #[command(after_help = "Example:\n  logsql schedule list")]
    List,
    /// Keep running what is due; or, with names, do what is due of these jobs and end
    #[command(after_help = "Examples:\n  logsql schedule run\n  logsql schedule run web\n  logsql schedule run --now web")]
    Run {
        /// Jobs
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// Run them now, due or not
        #[arg(long, requires = "names")]
        now: bool,
        /// End after a failed attempt; the next start goes on with it
        #[arg(long, requires = "names")]
        no_wait: bool,
    },
    /// Remove jobs and what is known of them
    #[command(after_help = "Example:\n  logsql schedule remove web")]
    Remove {
        /// Jobs
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
    },
    /// Show when jobs are due
    #[command(after_help = "Examples:\n  logsql schedule next\n  logsql schedule next web -n 10")]
    Next {
        /// Jobs [default: all]
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// How often
        #[arg(short = 'n', long, value_name = "N", default_value_t = 5)]
        count: usize,
    },
    /// Write systemd units or crontab lines that run the jobs
    #[command(
        after_help = "Examples:\n  logsql schedule export systemd --dir /etc/systemd/system\n  (crontab -l; logsql schedule export crontab) | crontab -"
    )]
    Export {
        /// For whom
        #[arg(value_enum)]
        kind: ExportKind,
        /// Jobs [default: all]
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// Write units into this folder, instead of showing them
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

/// For whom a schedule is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ExportKind {
    Systemd,
    Crontab,
}

/// A new job. Values are read as those of its file are.
#[derive(Clone, Debug, Args)]
pub(super) struct AddOptions {
    /// Its name: that of a saved query or topic, or another one
    pub(super) name: String,

    /// When: `minute hour day month weekday`, as in a crontab, or @hourly, @daily, @weekly, @monthly [default: as the query's header says]
    #[arg(value_name = "SCHEDULE")]
    pub(super) schedule: Option<String>,

    /// Mail the result to this address; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub(super) mail: Vec<String>,

    /// Run this in a shell, with the result as its standard input
    #[arg(long, value_name = "COMMAND")]
    pub(super) pipe: Option<String>,

    /// Deliver always, or only a result with rows, without rows, or one that is an alert: always, rows, empty, alert [default: always]
    #[arg(long, value_name = "WHEN")]
    pub(super) when: Option<String>,

    /// What a run is about: new (since the last success), period (since the due time before), a length such as 1d, or all [default: new]
    #[arg(long, value_name = "WINDOW")]
    pub(super) window: Option<String>,

    /// Runs that were missed: latest, all or none of them [default: latest]
    #[arg(long, value_name = "WHICH")]
    pub(super) catch_up: Option<String>,

    /// Attempts after a failed one [default: 3]
    #[arg(long, value_name = "N")]
    pub(super) retries: Option<String>,

    /// How long after the first failure; doubled after each other one [default: 1m]
    #[arg(long, value_name = "LENGTH")]
    pub(super) retry_delay: Option<String>,

    /// End windows so long before the due time, for lines that are written late [default: 0]
    #[arg(long, value_name = "LENGTH")]
    pub(super) lag: Option<String>,

    /// Time that an attempt has [default: 1h]
    #[arg(long, value_name = "LENGTH")]
    pub(super) timeout: Option<String>,

    /// A mail or command that may have been delivered when its process ended: again, or drop [default: again]
    #[arg(long, value_name = "WHAT")]
    pub(super) in_doubt: Option<String>,

    /// Replace a job of this name
    #[arg(long)]
    pub(super) replace: bool,

    /// What one would type behind `logsql` [default: report NAME]
    #[arg(last = true, value_name = "report NAME… | SQL")]
    pub(super) run: Vec<String>,
}

/// A shell that completes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Shell {
    Bash,
    Zsh,
    Fish,
}

const INDEX_EXAMPLES: &str = "\
Examples:
  logsql index /var/log/nginx/access.log*
  logsql index --list
  logsql index --remove /var/log/nginx/access.log.1
  logsql index --clear

Queries do the same as they go: what a query has read to its end is known to the next one, until the file is another one; a file
that only grew is read from there on. Known are rows and times of the parts of a file, and which statuses, levels and addresses
are in which part. Files under 32 MiB (4 MiB if compressed) are read anew each time.";

/// What to do about the index.
#[derive(Clone, Debug, Args)]
pub(super) struct IndexArgs {
    /// Paths, globs, directories [default: the usual places of this machine]
    pub(super) paths: Vec<OsString>,

    /// List what is known, and what it takes
    #[arg(long, conflicts_with_all = ["remove", "clear"])]
    pub(super) list: bool,

    /// Forget what is known of these files
    #[arg(long, conflicts_with = "clear", requires = "paths")]
    pub(super) remove: bool,

    /// Forget all that is known
    #[arg(long)]
    pub(super) clear: bool,
}

const CONVERT_EXAMPLES: &str = "\
Examples:
  logsql convert /backup/logs/*.tar.gz -o archive/
  logsql \"SELECT count(*) FROM access_log WHERE status >= 500\" archive/
  duckdb -c \"SELECT count(*) FROM 'archive/table=access_log/*/*.parquet'\"

What was converted before is not converted again, so a run that was interrupted is started again as it was. Lines that no
format takes are in the table `unparsed`.";

const COLLECT_EXAMPLES: &str = "\
Examples:
  logsql collect --store /srv/logs                              what is new in the logs of this machine
  logsql collect --store /srv/logs --keep 90d '/var/log/nginx/*.log*'
  logsql collect --store /srv/logs --follow=1m                  stay, and collect every minute
  logsql --store /srv/logs \"SELECT count(*) FROM access_log WHERE time > now() - INTERVAL '1 month'\"

In a crontab: */5 * * * * logsql collect --quiet --store /srv/logs --keep 90d
Logs may be rotated, compressed, truncated or deleted in between: each line is collected once. Name rotated files too (as
`*.log*` does), so that lines which were written just before a rotation are found.";

/// How Parquet files are written.
#[derive(Clone, Debug, Args)]
pub(super) struct ParquetOptions {
    /// Keep the lines themselves too, in the column `_raw`
    #[arg(long)]
    pub(super) raw: bool,

    /// Level of zstd, 1 to 22
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(i32).range(1..=22))]
    pub(super) level: i32,

    /// Remove days that are older than this (90d)
    #[arg(long, value_name = "AGE")]
    pub(super) keep: Option<String>,

    /// Remove the oldest files until the others have no more than this (50GB)
    #[arg(long, value_name = "SIZE")]
    pub(super) max_size: Option<String>,
}

/// What to convert.
#[derive(Clone, Debug, Args)]
pub(super) struct ConvertOptions {
    /// Paths, globs, directories, archives
    #[arg(required = true)]
    pub(super) paths: Vec<OsString>,

    #[command(flatten)]
    pub(super) parquet: ParquetOptions,
}

/// What to collect.
#[derive(Clone, Debug, Args)]
pub(super) struct CollectArgs {
    /// Paths, globs, directories [default: the usual places of this machine]
    pub(super) paths: Vec<OsString>,

    /// Stay, and collect again after each of these [default: 1m]
    #[arg(short = 'F', long, value_name = "EVERY", num_args = 0..=1, default_missing_value = "1m", require_equals = true)]
    pub(super) follow: Option<String>,

    #[command(flatten)]
    pub(super) parquet: ParquetOptions,
}

const REPORT_EXAMPLES: &str = "\
Examples:
  logsql report --list
  logsql report status-codes /var/log/nginx/access.log*
  logsql report web --since 1d -o report.html                  all queries of the topic `web`, as one page
  logsql report slowest-urls --param top=5 --format markdown
  logsql report --show brute-force-ssh
  logsql report --edit mine                                    a query of your own, in the config folder";

/// Which saved queries, and what to do with them.
#[derive(Clone, Debug, Args)]
pub(super) struct ReportOptions {
    /// Names of queries or topics, then paths, globs, directories [default: the usual places of this machine]
    #[arg(value_name = "NAME]... [PATH")]
    pub(super) words: Vec<OsString>,

    /// A value for a parameter; may be repeated
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub(super) param: Vec<String>,

    /// What stands above a page
    #[arg(long, value_name = "TEXT")]
    pub(super) title: Option<String>,

    /// List the saved queries
    #[arg(long, conflicts_with_all = ["show", "edit"])]
    pub(super) list: bool,

    /// Show a query: its description, parameters and SQL
    #[arg(long, value_name = "NAME", conflicts_with = "edit")]
    pub(super) show: Option<String>,

    /// Edit a query of your own with $EDITOR; a shipped one is copied first
    #[arg(long, value_name = "NAME")]
    pub(super) edit: Option<String>,
}

const IMPORT_EXAMPLES: &str = "\
Examples:
  logsql format import /backup/etc/nginx/nginx.conf
  logsql format import -o formats/ --as grok patterns.d/shop
  logsql format import -o formats/ ~/.config/lnav/formats/installed/*.json
  logsql format import -o formats/ pylogsparser-0.8/normalizers/*.xml

Definitions are written to the config folder, or into the folder that -o names. The configuration of the servers of this machine is
read anyway, wherever logs are queried.";

/// What a file to import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ImportKind {
    /// nginx.conf
    Nginx,
    /// httpd.conf, apache2.conf
    Apache,
    /// Named patterns, as Logstash reads them
    Grok,
    /// lnav's JSON formats
    Lnav,
    /// pylogsparser's XML normalizers
    Pylogsparser,
}

/// What about formats.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum FormatCommand {
    /// List the formats
    #[command(after_help = "Example:\n  logsql format list")]
    List,
    /// Show a format's definition
    #[command(after_help = "Examples:\n  logsql format show access\n  logsql format show combined --program")]
    Show {
        /// Name of a format or of one of its patterns
        name: String,
        /// Show what its patterns were lowered to
        #[arg(long)]
        program: bool,
    },
    /// Say why a file has the format that it has
    #[command(after_help = "Example:\n  logsql format why /var/log/nginx/access.log")]
    Why {
        /// Files
        #[arg(required = true)]
        paths: Vec<OsString>,
    },
    /// Make definitions of layouts that other programs know
    #[command(after_help = IMPORT_EXAMPLES)]
    Import {
        /// nginx.conf, httpd.conf, Logstash patterns, lnav formats (JSON), pylogsparser normalizers (XML)
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// What the files are, where their content does not tell
        #[arg(long = "as", value_name = "KIND", value_enum)]
        kind: Option<ImportKind>,
    },
    /// Propose a definition for lines that no format takes: stamp, level, `name:`, key=, and the most frequent messages
    #[command(
        after_help = "Examples:\n  logsql format new app.log -o app.toml      then edit it, and: logsql format test app.toml\n  logsql format new app.log --name shop --feeds app_log"
    )]
    New {
        /// A log, or several of one kind
        #[arg(required = true)]
        paths: Vec<OsString>,
        /// Name of the format [default: that of the file]
        #[arg(long)]
        name: Option<String>,
        /// The table that it feeds
        #[arg(long, value_name = "TABLE", default_value = "app_log")]
        feeds: String,
    },
    /// Run the samples of formats, or of definition files
    #[command(after_help = "Examples:\n  logsql format test\n  logsql format test access\n  logsql format test ./mine.toml")]
    Test {
        /// Names of formats, or definition files [default: all formats]
        names: Vec<OsString>,
    },
    /// Print the JSON Schema of definition files, for editors
    #[command(
        after_help = "Example:\n  logsql format schema > ~/.config/logsql/format.schema.json\n\nWith `#:schema ./format.schema.json` as its first line, editors that know taplo (VS Code: Even Better TOML) complete and check a definition."
    )]
    Schema,
}

/// What the command line asks for.
#[derive(Clone, Debug)]
pub(super) enum Command {
    Query,
    Repl,
    Tables,
    Format(FormatCommand),
    Index(super::config::IndexCommand),
    Report(ReportOptions),
    Collect(CollectCommand),
}

/// `convert` and `collect`: the same work, once for all or again and again.
#[derive(Clone, Debug)]
pub(super) struct CollectCommand {
    pub(super) name: &'static str,
    pub(super) parquet: ParquetOptions,
    pub(super) follow: Option<String>,
    /// Nothing more will come of these inputs.
    pub(super) is_complete: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum MmapArg {
    /// Map files that are not written to any more
    Auto,
    /// Map whatever can be mapped
    Always,
    /// Never map
    Never,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ExpandedArg {
    On,
    Off,
    Auto,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum When {
    Auto,
    Always,
    Never,
}
