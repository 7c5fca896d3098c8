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
    /// Formats: list, show, why, test
    #[command(subcommand, after_help = FORMAT_EXAMPLES)]
    Format(FormatCommand),
    /// Run saved queries, and make a page of their results
    #[command(after_help = REPORT_EXAMPLES)]
    Report(ReportOptions),
    /// Configuration: show what is set and where, check it, tell its path
    #[command(subcommand, after_help = CONFIG_EXAMPLES)]
    Config(ConfigCommand),
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
}

const FORMAT_EXAMPLES: &str = "\
Examples:
  logsql format list
  logsql format why /var/log/nginx/access.log
  logsql format show combined
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

/// A shell that completes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Shell {
    Bash,
    Zsh,
    Fish,
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
    /// Run the samples of formats, or of definition files
    #[command(after_help = "Examples:\n  logsql format test\n  logsql format test access\n  logsql format test ./mine.toml")]
    Test {
        /// Names of formats, or definition files [default: all formats]
        names: Vec<OsString>,
    },
}

/// What the command line asks for.
#[derive(Clone, Debug)]
pub(super) enum Command {
    Query,
    Repl,
    Tables,
    Format(FormatCommand),
    Report(ReportOptions),
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
