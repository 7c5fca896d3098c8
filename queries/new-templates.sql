-- description: Messages of a kind that was not there before a time
-- topic: sre
-- needs: syslog, app_log, error_log
-- param: since time = yesterday -- what was there before is not new; run it without --since
-- param: top integer = 20 -- rows at most

WITH messages AS (
  SELECT time, program, message FROM syslog WHERE message IS NOT NULL
  UNION ALL
  SELECT time, program, message FROM app_log WHERE message IS NOT NULL
  UNION ALL
  SELECT time, program, message FROM error_log WHERE message IS NOT NULL
)
SELECT template_id(message) AS id, log_template(message) AS template, count(*) AS times, time_bucket('1 second', min(time)) AS first, first_value(program) AS program,
  first_value(message) AS example
FROM messages
GROUP BY 1, 2
HAVING min(time) >= $since
ORDER BY times DESC, template
LIMIT $top
