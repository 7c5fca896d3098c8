-- description: Errors of databases by template
-- topic: database
-- needs: database_log
-- param: top integer = 20 -- rows at most
-- chart: bar x=template y=times

SELECT upper(level) AS level, log_template(message) AS template, count(*) AS times, time_bucket('1 second', max(time)) AS latest
FROM database_log
WHERE upper(level) IN ('ERROR', 'FATAL', 'PANIC', 'WARNING', 'WARN') AND message IS NOT NULL
GROUP BY 1, 2
ORDER BY times DESC, template
LIMIT $top
